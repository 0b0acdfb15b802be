// What one destination has yet to be given, and which of it may go now. A value: told of entries, of the time and of
// receipts, it says what to send and what to keep on disk; it does neither.
//
//   journal ─offer─▶ loaded ─next─▶ in flight ─accepted─▶ done ─(checkpoint passes)─▶ forgotten
//                      │                │ kept                 refused, last attempt ─▶ set aside (on disk alone)
//                      └──(its call has held ones)──▶ held ─(due)─▶ in flight
//
// A call's entries form a lane: one is in flight at a time, and none passes another. Bounds: `loaded` entries with their
// bodies; `held` without; and `inFlight` entries that were sent and are not on disk as settled, which is also the most
// that a crash can send twice.

package import Basics
package import CallModel

package struct Outbox: Sendable {
  package struct Limits: Sendable, Hashable {
    /// Deliveries under way at once.
    package var requests = 8
    package var inFlight = 64
    /// Entries in one delivery.
    package var batch = 1
    package var loaded = 256
    package var held = 10_000

    package init() {}
  }

  private struct Held {
    var event: EventID
    var lane: UUID
    var type: String
    var attempts: Int
    var dueAt: Moment
    var reason: String
    var since: Timestamp
    var mustGoAlone = false
  }

  private struct Flight {
    let positions: [Position]
    let attempt: Int
    let begunAt: Moment
    let isProbe: Bool
  }

  package typealias FlightID = Int

  /// The lane of what belongs to no call.
  private static let noCall = UUID(high: 0, low: 0)

  /// What is to be done next.
  package enum Work: Sendable {
    case send(FlightID, Delivery)
    /// As `send`, with bodies that must be read first.
    case fetch(FlightID, [Position], attempt: Int)
  }

  package private(set) var limits: Limits
  private let schedule: RetrySchedule
  package private(set) var breaker = Breaker()
  package private(set) var pace: Pace
  /// Read from the journal up to here.
  package private(set) var cursor: Position
  private var progress: Progress
  /// Entries that were not sent yet, by lane, and the lanes of which the first may go.
  private var loaded: [UUID: Line<JournalEntry>] = [:]
  package private(set) var loadedCount = 0
  private var freshLanes = Line<UUID>()
  /// Every position that was loaded, in order, and which of them are not settled; the checkpoint is before the first.
  private var order = Line<Position>()
  private var unsettled: Set<Position> = []
  private var flights: [FlightID: Flight] = [:]
  /// Under way, each with its lane.
  private var flying: [Position: UUID] = [:]
  private var lastFlight = 0
  private var busyLanes: Set<UUID> = []
  private var done: Set<Position> = []
  private var held: [Position: Held] = [:]
  private var heldLanes: [UUID: [Position]] = [:]
  private var readyLanes: [UUID] = []
  private var nextLook: Moment?
  /// Failed since the last success: should the breaker open, it was not their fault.
  private var suspects: Set<Position> = []
  private var put: [Position: OpenDelivery] = [:]
  private var dropped: Set<Position> = []
  private var attempts: [Attempt] = []
  /// Settled, and not on disk yet.
  private var unsaved = 0
  private var resolved = 0
  private var isDirty = false

  /// - Parameter open: the held ones, as they were kept.
  package init(
    _ progress: Progress, open: [OpenDelivery], limits: Limits, schedule: RetrySchedule = RetrySchedule(),
    rate: Double? = nil, at now: Moment, wall: Timestamp
  ) {
    (self.limits, self.schedule, self.progress) = (limits, schedule, progress)
    pace = Pace(rate: rate, width: limits.requests, at: now)
    cursor = progress.checkpoint
    done = Set(progress.ahead)
    for row in open where row.state == .held {
      let wait = min(max(0, row.nextAt.seconds(since: wall)), RetrySchedule.longestRetryAfter.seconds)
      hold(
        row.position,
        Held(
          event: row.event, lane: row.lane, type: row.type, attempts: row.attempts,
          dueAt: now + .nanoseconds(Int64(wait * 1e9)), reason: row.reason, since: row.since), at: now)
    }
  }

  // MARK: In

  /// Room for entries behind `cursor`.
  /// None while very much is settled beyond an entry that is still under way: what is kept of it has a bound as well.
  package var room: Int {
    held.count >= limits.held || done.count >= 4 * limits.loaded ? 0 : max(0, limits.loaded - loadedCount)
  }

  package var heldCount: Int { held.count }
  package var inFlightCount: Int { flying.count + unsaved }
  package var isIdle: Bool { loadedCount == 0 && flights.isEmpty && held.isEmpty }

  /// The lowest position that is not settled; what retention must keep for this destination.
  package var floor: Position {
    var floor = order.first { unsettled.contains($0) } ?? Position(cursor.value + 1)
    for position in held.keys where position < floor { floor = position }
    return floor
  }

  /// The next entry of the journal.
  /// - Parameter isWanted: false passes it by.
  package mutating func offer(_ entry: JournalEntry, isWanted: Bool) {
    guard entry.position > cursor else { return }
    cursor = entry.position
    guard isWanted, !done.contains(entry.position), held[entry.position] == nil else { return }
    let lane = entry.callID?.uuid ?? Self.noCall
    let isFirst = loaded[lane] == nil
    loaded[lane, default: Line()].append(entry)
    loadedCount += 1
    order.append(entry.position)
    unsettled.insert(entry.position)
    if isFirst, !busyLanes.contains(lane) { freshLanes.append(lane) }
  }

  package mutating func change(_ limits: Limits, rate: Double?, at now: Moment) {
    self.limits = limits
    pace = Pace(rate: rate, width: limits.requests, at: now)
  }

  /// Puts an entry of the past among the held ones, to be sent (again).
  package mutating func replay(_ entry: JournalEntry, at now: Moment, wall: Timestamp) {
    // What is still on its way needs no second way.
    guard held[entry.position] == nil, flying[entry.position] == nil,
      entry.position <= cursor, !unsettled.contains(entry.position)
    else { return }
    let lane = entry.callID?.uuid ?? Outbox.noCall
    let item = Held(
      event: entry.id, lane: lane, type: entry.type, attempts: 0, dueAt: now, reason: "replay", since: wall)
    keep(entry.position, item, nextAt: wall)
    hold(entry.position, item, at: now)
  }

  /// Everything that waits for another attempt may go now.
  package mutating func hurry(at now: Moment) {
    breaker = Breaker()
    pace = Pace(rate: pace.rate, width: limits.requests, at: now)
    for position in held.keys { held[position]?.dueAt = now }
    nextLook = now
  }

  // MARK: Out

  /// The next thing to send, if anything may go now.
  package mutating func next(at now: Moment, wall: Timestamp) -> Work? {
    let room = min(
      limits.inFlight - inFlightCount, limits.batch, pace.available(at: now), breaker.allowance(at: now))
    guard room > 0, flights.count < pace.width else { return nil }
    lookForDue(at: now)
    if let positions = takeHeld(room, at: now) {
      let attempt = positions.map { held[$0]?.attempts ?? 0 }.max()! + 1
      let id = begin(positions.map { ($0, held[$0]?.lane ?? Self.noCall) }, attempt, at: now)
      return .fetch(id, positions, attempt: attempt)
    }
    let entries = takeLoaded(room, at: now, wall: wall)
    guard !entries.isEmpty else { return nil }
    let id = begin(entries.map { ($0.position, $0.callID?.uuid ?? Self.noCall) }, 1, at: now)
    return .send(id, Delivery(entries: entries))
  }

  private mutating func begin(_ entries: [(Position, UUID)], _ attempt: Int, at now: Moment) -> FlightID {
    lastFlight += 1
    flights[lastFlight] = Flight(
      positions: entries.map(\.0), attempt: attempt, begunAt: now, isProbe: !breaker.isClosed)
    for (position, lane) in entries { flying[position] = lane }
    pace.spend(entries.count)
    breaker.began(at: now)
    return lastFlight
  }

  /// The first entries whose calls have nothing under way; behind a held one, an entry is held as well.
  private mutating func takeLoaded(_ limit: Int, at now: Moment, wall: Timestamp) -> [JournalEntry] {
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

  private mutating func unload(_ lane: UUID) -> JournalEntry? {
    guard let entry = loaded[lane]?.popFirst() else { return nil }
    loadedCount -= 1
    if loaded[lane]?.isEmpty ?? false { loaded[lane] = nil }
    return entry
  }

  /// What is loaded of the lane joins its held ones.
  private mutating func holdBack(_ lane: UUID, at now: Moment, wall: Timestamp) {
    while let entry = unload(lane) {
      let item = Held(
        event: entry.id, lane: lane, type: entry.type, attempts: 0, dueAt: now, reason: "behind an earlier event",
        since: wall)
      keep(entry.position, item, nextAt: wall)
      hold(entry.position, item, at: now)
    }
  }

  private mutating func takeHeld(_ limit: Int, at now: Moment) -> [Position]? {
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

  private mutating func lookForDue(at now: Moment) {
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

  // MARK: Back

  /// Held entries of this flight that the journal has no more: they are lost to this destination.
  package mutating func vanished(_ flight: FlightID, _ positions: [Position], at now: Moment) {
    guard let known = flights[flight] else { return }
    for position in positions { resolve(position) }
    let left = known.positions.filter { !positions.contains($0) }
    let busy = Set(left.compactMap { flying[$0] })
    for position in positions {
      guard let lane = flying.removeValue(forKey: position) else { continue }
      // Others of the lane are in the same flight: it is free when they are back.
      if busy.contains(lane) { busyLanes.insert(lane) } else { free(lane, at: now) }
    }
    guard left.isEmpty else { return }
    flights[flight] = nil
    if known.isProbe { breaker.failed(at: now, random: 0) }
  }

  /// The bodies of a `fetch` could not be read now.
  package mutating func unread(_ flight: FlightID, at now: Moment, random: Double) {
    guard let gone = flights.removeValue(forKey: flight) else { return }
    if gone.isProbe { breaker.failed(at: now, random: random) }
    for position in gone.positions {
      held[position]?.dueAt = now + .seconds(1)
      release(position, at: now)
    }
  }

  /// The peer's answer to a flight.
  /// - Parameters:
  ///   - entries: those that were sent.
  ///   - random: uniform in 0..<1.
  package mutating func settle(
    _ flight: FlightID, _ entries: [JournalEntry], _ receipt: Receipt, at now: Moment, wall: Timestamp, random: Double
  ) {
    guard let ended = flights.removeValue(forKey: flight) else { return }
    let wasClosed = breaker.isClosed && !ended.isProbe
    judge(receipt, at: now, random: random)
    let isSplit = receipt.verdict == .refused && entries.count > 1
    for entry in entries {
      note(entry, ended, receipt, at: now, wall: wall)
      switch receipt.verdict {
      case .accepted:
        progress.accepted += 1
        resolve(entry.position)
      case .refused where !isSplit: setAside(entry, ended.attempt, receipt.reason, wall: wall)
      case .refused: again(entry, after: .zero, counting: false, receipt, at: now, wall: wall, alone: true)
      case .kept, .slowDown, .gone:
        retry(entry, receipt, isOwnFault: receipt.verdict == .kept && wasClosed, at: now, wall: wall, random: random)
      }
      release(entry.position, at: now)
    }
    if wasClosed, !breaker.isClosed { acquit(at: now, wall: wall) }
  }

  /// The destination was down, not these entries bad: the attempt does not count, and they go as soon as it is back.
  private mutating func acquit(at now: Moment, wall: Timestamp) {
    for position in suspects.sorted() {
      guard var item = held[position] else { continue }
      (item.attempts, item.dueAt) = (max(0, item.attempts - 1), now)
      keep(position, item, nextAt: wall)
      hold(position, item, at: now)
    }
    suspects = []
  }

  private mutating func judge(_ receipt: Receipt, at now: Moment, random: Double) {
    switch receipt.verdict {
    case .accepted:
      breaker.succeeded()
      pace.accepted()
      suspects = []
    case .refused: breaker.succeeded()
    case .kept: breaker.failed(at: now, random: random)
    case .slowDown:
      breaker.succeeded()
      pace.slowDown(at: now, asked: receipt.retryAfter)
    case .gone: breaker = Breaker()
    }
  }

  private mutating func note(
    _ entry: JournalEntry, _ flight: Flight, _ receipt: Receipt, at now: Moment, wall: Timestamp
  ) {
    let spent = now - flight.begunAt
    attempts.append(
      Attempt(
        position: entry.position, event: entry.id, type: entry.type, at: wall.adding(seconds: -spent.seconds),
        milliseconds: Int(spent.nanoseconds / 1_000_000), number: flight.attempt, verdict: receipt.verdict,
        code: receipt.code, reason: receipt.reason))
  }

  private mutating func retry(
    _ entry: JournalEntry, _ receipt: Receipt, isOwnFault: Bool, at now: Moment, wall: Timestamp, random: Double
  ) {
    // A sign of life that is late says nothing any more.
    if entry.type == EventFilter.heartbeatType { return resolve(entry.position) }
    let before = held[entry.position]?.attempts ?? 0
    guard isOwnFault else { return again(entry, after: .zero, counting: false, receipt, at: now, wall: wall) }
    guard let pause = schedule.pause(after: before + 1, asked: receipt.retryAfter, random: random) else {
      return setAside(entry, before + 1, "given up after \(before + 1) attempts: \(receipt.reason)", wall: wall)
    }
    suspects.insert(entry.position)
    again(entry, after: pause, counting: true, receipt, at: now, wall: wall)
  }

  private mutating func again(
    _ entry: JournalEntry, after pause: Duration, counting: Bool, _ receipt: Receipt, at now: Moment, wall: Timestamp,
    alone: Bool = false
  ) {
    var item =
      held[entry.position]
      ?? Held(
        event: entry.id, lane: entry.callID?.uuid ?? Outbox.noCall, type: entry.type, attempts: 0, dueAt: now,
        reason: "",
        since: wall)
    item.attempts += counting ? 1 : 0
    (item.dueAt, item.reason, item.mustGoAlone) = (now + pause, receipt.reason, item.mustGoAlone || alone)
    keep(entry.position, item, nextAt: wall.adding(seconds: pause.seconds))
    resolved += 1
    unsaved += 1
    hold(entry.position, item, at: now)
  }

  private mutating func setAside(_ entry: JournalEntry, _ attempts: Int, _ reason: String, wall: Timestamp) {
    let since = held[entry.position]?.since ?? wall
    resolve(entry.position)
    // A sign of life that is not wanted is nothing to look at later.
    if entry.type == EventFilter.heartbeatType { return }
    progress.setAside += 1
    dropped.remove(entry.position)
    put[entry.position] = OpenDelivery(
      position: entry.position, event: entry.id, lane: entry.callID?.uuid ?? Outbox.noCall, type: entry.type,
      state: .aside,
      attempts: attempts, nextAt: wall, reason: reason, since: since)
  }

  /// Settled for good; in flight until that is on disk.
  private mutating func resolve(_ position: Position) {
    if let item = held.removeValue(forKey: position) {
      heldLanes[item.lane]?.removeAll { $0 == position }
      if heldLanes[item.lane]?.isEmpty ?? false { heldLanes[item.lane] = nil }
      put[position] = nil
      dropped.insert(position)
    }
    // Read again after a restart, for the checkpoint has not passed it: known then as settled.
    if position > progress.checkpoint { done.insert(position) }
    unsettled.remove(position)
    resolved += 1
    unsaved += 1
    isDirty = true
  }

  private mutating func keep(_ position: Position, _ item: Held, nextAt: Timestamp) {
    dropped.remove(position)
    put[position] = OpenDelivery(
      position: position, event: item.event, lane: item.lane, type: item.type, state: .held, attempts: item.attempts,
      nextAt: nextAt, reason: item.reason, since: item.since)
    isDirty = true
  }

  private mutating func hold(_ position: Position, _ item: Held, at now: Moment) {
    let isNew = held.updateValue(item, forKey: position) == nil
    if isNew {
      var lane = heldLanes[item.lane] ?? []
      lane.insert(position, at: lane.firstIndex { $0 > position } ?? lane.endIndex)
      heldLanes[item.lane] = lane
      done.remove(position)
      unsettled.remove(position)
    }
    wake(item.lane, at: now)
  }

  /// Sees to it that the lane's first is looked at when it is due.
  private mutating func wake(_ lane: UUID, at now: Moment) {
    guard let first = heldLanes[lane]?.first, let due = held[first]?.dueAt else {
      if loaded[lane] != nil, !busyLanes.contains(lane) { freshLanes.append(lane) }
      return
    }
    if loaded[lane] != nil { freshLanes.append(lane) }
    guard !busyLanes.contains(lane) else { return }
    if due <= now {
      if readyLanes.last != lane { readyLanes.insert(lane, at: 0) }
    } else {
      nextLook = min(nextLook ?? due, due)
    }
  }

  private mutating func release(_ position: Position, at now: Moment) {
    guard let lane = flying.removeValue(forKey: position) else { return }
    free(lane, at: now)
  }

  private mutating func free(_ lane: UUID, at now: Moment) {
    busyLanes.remove(lane)
    wake(lane, at: now)
  }

  // MARK: Disk

  /// Everything up to here is settled or held.
  private mutating func settledUpTo() -> Position {
    while let first = order.first, !unsettled.contains(first) { _ = order.popFirst() }
    return order.first.map { Position($0.value - 1) } ?? cursor
  }

  /// Entries that wait for a settlement.
  package var unsavedCount: Int { resolved }
  package var hasChanges: Bool { isDirty }

  /// Entries that were passed by are worth a write too, once in a while.
  package mutating func touch() { isDirty = isDirty || settledUpTo() > progress.checkpoint }

  /// Something that is kept together with the progress has changed.
  package mutating func markChanged() { isDirty = true }

  /// Others changed what is set aside.
  package mutating func setAsideCount(_ count: Int) {
    progress.setAside = count
    isDirty = true
  }

  /// What has changed since the last call; the caller tells when it is on disk.
  package mutating func takeSettlement() -> Settlement? {
    guard hasChanges else { return nil }
    progress.checkpoint = settledUpTo()
    done = done.filter { $0 > progress.checkpoint }
    progress.ahead = done.sorted()
    let settlement = Settlement(
      progress: progress, put: put.values.sorted { $0.position < $1.position }, dropped: dropped.sorted(),
      attempts: attempts, entries: resolved)
    (put, dropped, attempts, resolved, isDirty) = ([:], [], [], 0, false)
    return settlement
  }

  package mutating func saved(_ settlement: Settlement) { unsaved -= settlement.entries }

  package var counts: Progress { progress }
}
