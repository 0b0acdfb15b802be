// What may go now.

package import Basics
internal import CallModel

extension Outbox {
  /// The next thing to send, if anything may go now.
  package mutating func next(at now: Moment, wall: Timestamp) -> Work? {
    let room = min(
      limits.inFlight - inFlightCount, limits.batch, pace.available(at: now), breaker.allowance(at: now))
    guard room > 0, flights.count < pace.width else { return nil }
    lookForDue(at: now)
    if breaker.prefersFresh { return nextLoaded(room, at: now, wall: wall) ?? nextHeld(room, at: now) }
    return nextHeld(room, at: now) ?? nextLoaded(room, at: now, wall: wall)
  }

  private mutating func nextHeld(_ room: Int, at now: Moment) -> Work? {
    guard let positions = takeHeld(room, at: now) else { return nil }
    let attempt = positions.map { held[$0]?.attempts ?? 0 }.reduce(0, max) + 1
    let id = begin(positions.map { ($0, held[$0]?.lane ?? Self.noCall) }, attempt, at: now)
    return .fetch(id, positions, attempt: attempt)
  }

  private mutating func nextLoaded(_ room: Int, at now: Moment, wall: Timestamp) -> Work? {
    let entries = takeLoaded(room, at: now, wall: wall)
    guard !entries.isEmpty else { return nil }
    let id = begin(entries.map { ($0.position, $0.callID?.uuid ?? Self.noCall) }, 1, at: now)
    return .send(id, Delivery(entries: entries))
  }

  mutating func begin(_ entries: [(Position, UUID)], _ attempt: Int, at now: Moment) -> FlightID {
    lastFlight += 1
    flights[lastFlight] = Flight(
      positions: entries.map(\.0), attempt: attempt, begunAt: now, isProbe: !breaker.isClosed)
    for (position, lane) in entries { flying[position] = lane }
    pace.spend(entries.count)
    breaker.began(at: now)
    return lastFlight
  }

  /// The first entries whose calls have nothing under way; behind a held one, an entry is held as well.
  mutating func takeLoaded(_ limit: Int, at now: Moment, wall: Timestamp) -> [JournalEntry] {
    var taken: [JournalEntry] = []
    while taken.count < limit, let lane = freshLanes.popFirst() {
      guard !busyLanes.contains(lane), loaded[lane] != nil else { continue }
      if heldLanes[lane] != nil {
        // With no room left among the held it waits here: its lane is looked at again when that becomes shorter.
        if held.count < limits.held { holdBack(lane, at: now, wall: wall) }
        continue
      }
      busyLanes.insert(lane)
      while taken.count < limit, let entry = unload(lane) { taken.append(entry) }
    }
    return taken.count > 1 ? taken.sorted { $0.position < $1.position } : taken
  }

  mutating func unload(_ lane: UUID) -> JournalEntry? {
    guard let entry = loaded[lane]?.popFirst() else { return nil }
    loadedCount -= 1
    if loaded[lane]?.isEmpty ?? false { loaded[lane] = nil }
    return entry
  }

  /// What is loaded of the lane joins its held ones.
  mutating func holdBack(_ lane: UUID, at now: Moment, wall: Timestamp) {
    while let entry = unload(lane) {
      let item = Held(
        event: entry.id, lane: lane, type: entry.type, attempts: 0, dueAt: now, reason: "behind an earlier event",
        since: wall)
      keep(entry.position, item, nextAt: wall)
      hold(entry.position, item, at: now)
    }
  }

  mutating func takeHeld(_ limit: Int, at now: Moment) -> [Position]? {
    var taken: [Position] = []
    while taken.count < limit, let lane = readyLanes.last {
      guard !busyLanes.contains(lane), let positions = heldLanes[lane], let first = held[positions[0]],
        first.dueAt <= now
      else {
        readyLanes.removeLast()
        continue
      }
      if first.mustGoAlone {
        if taken.isEmpty {
          readyLanes.removeLast()
          busyLanes.insert(lane)
          return [positions[0]]
        }
        break
      }
      readyLanes.removeLast()
      busyLanes.insert(lane)
      let fit = positions.prefix(limit - taken.count).prefix {
        held[$0].map { !$0.mustGoAlone && $0.dueAt <= now } ?? false
      }
      taken += fit
    }
    return taken.isEmpty ? nil : taken.sorted()
  }

  /// When `next` is worth asking again although nothing happens.
  package func wakeAt(_ now: Moment) -> Moment? {
    guard loadedCount > 0 || !held.isEmpty else { return nil }
    // What is under way, or not on disk yet, wakes it by coming back.
    if flights.count >= pace.width || inFlightCount >= limits.inFlight { return nil }
    if case .halfOpen = breaker.state { return nil }
    if case .open(let until) = breaker.state, until > now { return until }
    let paced = pace.nextAt(now)
    if paced > now { return paced }
    return nextLook
  }

  mutating func lookForDue(at now: Moment) {
    guard let look = nextLook, look <= now else { return }
    nextLook = nil
    var due: [(Position, UUID)] = []
    var earliest: Moment?
    for (lane, positions) in heldLanes where !busyLanes.contains(lane) {
      guard let at = held[positions[0]]?.dueAt else { continue }
      if at <= now { due.append((positions[0], lane)) } else { earliest = min(earliest ?? at, at) }
    }
    // Looked for at most ten times a second, however many there are. The oldest go first: they are taken from the end.
    if let earliest { nextLook = max(earliest, now + .milliseconds(100)) }
    readyLanes = due.sorted { $0.0 > $1.0 }.map(\.1)
  }
}
