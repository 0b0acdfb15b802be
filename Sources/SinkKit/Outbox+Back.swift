// What a receipt means for what was sent.

package import Basics
package import CallModel

extension Outbox {
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
    if receipt.verdict == .slowDown { progress.quietUntil = wall.adding(seconds: (pace.quietUntil - now).seconds) }
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
        retry(
          entry, receipt, isOwnFault: receipt.verdict == .kept && wasClosed, isOfBatch: entries.count > 1, at: now,
          wall: wall, random: random)
      }
      release(entry.position, at: now)
    }
    if wasClosed, !breaker.isClosed { acquit(at: now, wall: wall) }
  }

  /// The destination was down, not these entries bad: the attempt does not count, and they go as soon as it is back.
  mutating func acquit(at now: Moment, wall: Timestamp) {
    for position in suspects.sorted() {
      guard var item = held[position] else { continue }
      (item.attempts, item.dueAt) = (max(0, item.attempts - 1), item.mustWait ? max(item.dueAt, now) : now)
      keep(position, item, nextAt: wall)
      hold(position, item, at: now)
    }
    suspects = []
  }

  mutating func judge(_ receipt: Receipt, at now: Moment, random: Double) {
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

  mutating func note(
    _ entry: JournalEntry, _ flight: Flight, _ receipt: Receipt, at now: Moment, wall: Timestamp
  ) {
    let spent = now - flight.begunAt
    attempts.append(
      Attempt(
        position: entry.position, event: entry.id, type: entry.type, at: wall.adding(seconds: -spent.seconds),
        milliseconds: Int(spent.nanoseconds / 1_000_000), number: flight.attempt, verdict: receipt.verdict,
        code: receipt.code, reason: receipt.reason))
  }

  mutating func retry(
    _ entry: JournalEntry, _ receipt: Receipt, isOwnFault: Bool, isOfBatch: Bool, at now: Moment, wall: Timestamp,
    random: Double
  ) {
    // A sign of life that is late says nothing any more.
    if entry.type == EventFilter.heartbeatType { return resolve(entry.position) }
    let before = held[entry.position]?.attempts ?? 0
    guard isOwnFault else { return again(entry, after: .zero, counting: false, receipt, at: now, wall: wall) }
    guard let pause = schedule.pause(after: before + 1, asked: receipt.retryAfter, random: random) else {
      return setAside(entry, before + 1, "given up after \(before + 1) attempts: \(receipt.reason)", wall: wall)
    }
    suspects.insert(entry.position)
    // Twice in company: who it is shows when each goes alone.
    again(entry, after: pause, counting: true, receipt, at: now, wall: wall, alone: isOfBatch && before >= 1)
  }

  mutating func again(
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
    let pause = counting ? pause : max(pause, RetrySchedule.clamped(receipt.retryAfter))
    (item.dueAt, item.reason, item.mustGoAlone) = (now + pause, receipt.reason, item.mustGoAlone || alone)
    item.mustWait = receipt.retryAfter != nil
    keep(entry.position, item, nextAt: wall.adding(seconds: pause.seconds))
    resolved += 1
    unsaved += 1
    hold(entry.position, item, at: now)
  }

  mutating func setAside(_ entry: JournalEntry, _ attempts: Int, _ reason: String, wall: Timestamp) {
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
  mutating func resolve(_ position: Position) {
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

  mutating func keep(_ position: Position, _ item: Held, nextAt: Timestamp) {
    dropped.remove(position)
    put[position] = OpenDelivery(
      position: position, event: item.event, lane: item.lane, type: item.type, state: .held, attempts: item.attempts,
      nextAt: nextAt, reason: item.reason, since: item.since)
    isDirty = true
  }

  mutating func hold(_ position: Position, _ item: Held, at now: Moment) {
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
  mutating func wake(_ lane: UUID, at now: Moment) {
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

  mutating func release(_ position: Position, at now: Moment) {
    guard let lane = flying.removeValue(forKey: position) else { return }
    free(lane, at: now)
  }

  mutating func free(_ lane: UUID, at now: Moment) {
    busyLanes.remove(lane)
    wake(lane, at: now)
  }
}
