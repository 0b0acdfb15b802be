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

  struct Held {
    var event: EventID
    var lane: UUID
    var type: String
    var attempts: Int
    var dueAt: Moment
    var reason: String
    var since: Timestamp
    var mustGoAlone = false
    /// Of this event the peer said so.
    var mustWait = false
  }

  struct Flight {
    let positions: [Position]
    let attempt: Int
    let begunAt: Moment
    let isProbe: Bool
  }

  package typealias FlightID = Int

  /// The lane of what belongs to no call.
  static let noCall = UUID(high: 0, low: 0)

  /// What is to be done next.
  package enum Work: Sendable {
    case send(FlightID, Delivery)
    /// As `send`, with bodies that must be read first.
    case fetch(FlightID, [Position], attempt: Int)
  }

  package internal(set) var limits: Limits
  let schedule: RetrySchedule
  package internal(set) var breaker = Breaker()
  package internal(set) var pace: Pace
  /// Read from the journal up to here.
  package internal(set) var cursor: Position
  var progress: Progress
  /// Entries that were not sent yet, by lane, and the lanes of which the first may go.
  var loaded: [UUID: Line<JournalEntry>] = [:]
  package internal(set) var loadedCount = 0
  var freshLanes = Line<UUID>()
  /// Every position that was loaded, in order, and which of them are not settled; the checkpoint is before the first.
  var order = Line<Position>()
  var unsettled: Set<Position> = []
  var flights: [FlightID: Flight] = [:]
  /// Under way, each with its lane.
  var flying: [Position: UUID] = [:]
  var lastFlight = 0
  var busyLanes: Set<UUID> = []
  var done: Set<Position> = []
  var held: [Position: Held] = [:]
  var heldLanes: [UUID: [Position]] = [:]
  var readyLanes: [UUID] = []
  var nextLook: Moment?
  /// Failed since the last success: should the breaker open, it was not their fault.
  var suspects: Set<Position> = []
  var put: [Position: OpenDelivery] = [:]
  var dropped: Set<Position> = []
  var attempts: [Attempt] = []
  /// Settled, and not on disk yet.
  var unsaved = 0
  var resolved = 0
  var isDirty = false

  /// - Parameter open: the held ones, as they were kept.
  package init(
    _ progress: Progress, open: [OpenDelivery], limits: Limits, schedule: RetrySchedule = RetrySchedule(),
    rate: Double? = nil, at now: Moment, wall: Timestamp
  ) {
    (self.limits, self.schedule, self.progress) = (limits, schedule, progress)
    pace = Pace(rate: rate, width: limits.requests, at: now)
    if let until = progress.quietUntil { pace.beQuiet(for: Self.left(until: until, wall), at: now) }
    cursor = progress.checkpoint
    done = Set(progress.ahead)
    for row in open where row.state == .held {
      hold(
        row.position,
        Held(
          event: row.event, lane: row.lane, type: row.type, attempts: row.attempts,
          dueAt: now + Self.left(until: row.nextAt, wall), reason: row.reason, since: row.since), at: now)
    }
  }

  /// Whatever the clock did meanwhile: never more than a peer can ask for.
  private static func left(until time: Timestamp, _ wall: Timestamp) -> Duration {
    RetrySchedule.clamped(.nanoseconds(Int64(min(max(0, time.seconds(since: wall)), 1e9) * 1e9)))
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

  /// Passes by what was loaded and is not wanted any more; what was sent, or is held, goes its way.
  package mutating func reconsider(_ isWanted: (JournalEntry) -> Bool) {
    for (lane, line) in loaded {
      var kept = Line<JournalEntry>()
      for entry in line {
        if isWanted(entry) {
          kept.append(entry)
        } else {
          unsettled.remove(entry.position)
          loadedCount -= 1
        }
      }
      loaded[lane] = kept.isEmpty ? nil : kept
    }
  }

  package mutating func change(_ limits: Limits, rate: Double?, at now: Moment) {
    self.limits = limits
    pace.change(rate: rate, width: limits.requests, at: now)
  }

  /// Puts an entry of the past among the held ones, to be sent (again).
  package mutating func replay(_ entry: JournalEntry, at now: Moment, wall: Timestamp) {
    // Settled ahead of what is read after a restart: it is sent when the reading comes to it.
    if entry.position > cursor { return forgetDone(entry.position) }
    // What is still on its way needs no second way.
    guard held[entry.position] == nil, flying[entry.position] == nil, !unsettled.contains(entry.position) else {
      return
    }
    let lane = entry.callID?.uuid ?? Outbox.noCall
    let item = Held(
      event: entry.id, lane: lane, type: entry.type, attempts: 0, dueAt: now, reason: "replay", since: wall)
    keep(entry.position, item, nextAt: wall)
    hold(entry.position, item, at: now)
  }

  private mutating func forgetDone(_ position: Position) {
    if done.remove(position) != nil { isDirty = true }
  }

  /// Everything that waits for another attempt may go now.
  package mutating func hurry(at now: Moment) {
    breaker = Breaker()
    pace = Pace(rate: pace.rate, width: limits.requests, at: now)
    for position in held.keys { held[position]?.dueAt = now }
    nextLook = now
  }
}
