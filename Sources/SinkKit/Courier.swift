// Carries entries to one destination: reads for the outbox, sends what it says may go, tells it what came back, and has
// its progress kept. One per destination; none waits for another.

package import Basics
package import CallModel
internal import Health
internal import Log
package import Loop
internal import Metrics

@LoopActor
package final class Courier {
  package private(set) var record: DestinationRecord
  package internal(set) var state: DestinationState
  package internal(set) var outbox: Outbox
  package internal(set) var replay: Replay?
  package private(set) var tally = Tally()
  package internal(set) var lastAccepted: Timestamp?
  package internal(set) var lastFailure: (at: Timestamp, reason: String)?

  let tools: CourierTools
  private var sink: (any Sink)?
  var isReading = false
  var isSilent = false
  var isFailing = false
  var isReplaying = false
  var isStopped = false
  private var wake: Loop.Timer?
  private var page: Int64

  package init(_ stored: StoredDestination, progress: Progress, page: Int64, tools: CourierTools) {
    (record, state, replay, self.page, self.tools) = (stored.record, stored.state, stored.replay, page, tools)
    outbox = Outbox(
      progress, open: stored.open, limits: stored.record.limits, rate: stored.record.ratePerSecond.map(Double.init),
      at: tools.now(), wall: tools.wall())
  }

  /// What its conditions are kept under: a name can be another tenant's too, and can change.
  var subject: String { record.id.description }

  /// Entries up to `head` that it was not sent yet.
  package func lag(behind head: Position) -> Int64 {
    max(0, head.value - outbox.cursor.value) + Int64(outbox.loadedCount)
  }

  /// For how much longer nothing is sent because the peer asked for it.
  package var quietFor: Duration { max(.zero, outbox.pace.quietUntil - tools.now()) }

  /// The way to the peer, for one delivery outside of all order.
  package var ownSink: (any Sink)? { sink }

  // MARK: Life

  package func start() {
    guard tools.isSending else { return }
    openSink()
    showState()
    if outbox.counts.setAside > 0 { tools.health.raise(SinkCondition.setAside, on: subject, detail: record.name) }
    advance()
    tick()
  }

  /// Nothing is begun any more; what is under way is awaited by nobody and told again after a start.
  package func stop() {
    isStopped = true
    if let wake { LoopActor.loop.cancel(wake) }
    sink?.close()
    for condition in [
      SinkCondition.failing, SinkCondition.gone, SinkCondition.silent, SinkCondition.setAside, SinkCondition.broken,
    ] { tools.health.clear(condition, on: subject) }
  }

  private func openSink() {
    sink?.close()
    sink = nil
    do {
      sink = try tools.makeSink(record)
      tools.health.clear(SinkCondition.broken, on: subject)
    } catch {
      Log.error("a destination cannot be used", [.sinkName: record.name, .errorText: "\(error)"])
      tools.health.raise(SinkCondition.broken, on: subject, detail: "\(record.name): \(error)")
    }
  }

  private func tick() {
    LoopActor.loop.after(.seconds(30)) { [weak self] in
      guard let self, !isStopped else { return }
      outbox.touch()
      noteProgress()
      // Whatever was missed is looked at again here.
      advance()
      tick()
    }
  }

  /// The record as it is now; what is loaded is judged anew by it.
  package func change(_ record: DestinationRecord) {
    self.record = record
    outbox.reconsider(wants)
    if isSilent, !record.hasHeartbeat { hush() }
    outbox.change(record.limits, rate: record.ratePerSecond.map(Double.init), at: tools.now())
    openSink()
    advance()
  }

  package func set(_ state: DestinationState) {
    self.state = state
    if isSilent { hush() }
    showState()
    if state.kind == .active { outbox.hurry(at: tools.now()) }
    advance()
  }

  /// New entries are in the journal.
  package func poke() { advance() }

  // MARK: The round

  private var mayWork: Bool { tools.isSending && !isStopped && state.kind == .active && sink != nil }

  func advance() {
    guard mayWork else { return noteProgress() }
    read()
    send()
    sleepUntilDue()
    noteProgress()
  }

  private func send() {
    while let work = outbox.next(at: tools.now(), wall: tools.wall()) {
      switch work {
      case .send(let flight, let delivery): carry(flight, delivery)
      case .fetch(let flight, let positions, let attempt): fetch(flight, positions, attempt)
      }
    }
  }

  private func carry(_ flight: Outbox.FlightID, _ delivery: Delivery) {
    guard let sink else { return outbox.unread(flight, at: tools.now(), random: tools.random()) }
    // Returns within the sink's time limit, and takes its place in flight with it.
    LoopActor.begin { [self] in
      let begun = tools.now()
      if delivery.attempt == 1 { noteSending(delivery) }
      let receipt = await sink.deliver(delivery)
      tools.timings.sentToAcknowledged.record((tools.now() - begun).seconds)
      finish(flight, delivery, receipt)
    }
  }

  private func fetch(_ flight: Outbox.FlightID, _ positions: [Position], _ attempt: Int) {
    LoopActor.begin { [self] in
      let entries = await tools.feed.entries(at: positions)
      guard let entries else {
        outbox.unread(flight, at: tools.now(), random: tools.random())
        return advance()
      }
      let missing = Set(positions).subtracting(entries.map(\.position))
      if !missing.isEmpty { outbox.vanished(flight, missing.sorted(), at: tools.now()) }
      guard !entries.isEmpty else { return advance() }
      carry(flight, Delivery(entries: entries, attempt: attempt))
    }
  }

  private func noteSending(_ delivery: Delivery) {
    let now = tools.wall()
    for entry in delivery.entries {
      if let stored = entry.storedAt { tools.timings.storedToSent.record(max(0, now.seconds(since: stored))) }
    }
  }

  private func finish(_ flight: Outbox.FlightID, _ delivery: Delivery, _ receipt: Receipt) {
    let wall = tools.wall()
    let asideBefore = outbox.counts.setAside
    outbox.settle(flight, delivery.entries, receipt, at: tools.now(), wall: wall, random: tools.random())
    let isAccepted = receipt.verdict == .accepted
    tally.note(delivery.entries.count, isAccepted: isAccepted, at: wall)
    (isAccepted ? tools.timings.accepted : tools.timings.failed).add(delivery.entries.count)
    if isAccepted {
      lastAccepted = wall
      if isSilent { hush() }
    } else {
      lastFailure = (wall, receipt.reason)
    }
    if outbox.counts.setAside != asideBefore {
      tools.health.raise(SinkCondition.setAside, on: subject, detail: record.name)
    }
    showBreaker(receipt)
    if receipt.verdict == .gone { stopForGood(receipt) }
    advance()
  }

  private func sleepUntilDue() {
    guard let due = outbox.wakeAt(tools.now()) else { return }
    wake(after: max(.milliseconds(1), due - tools.now()))
  }

  func wake(after span: Duration) {
    if let wake { LoopActor.loop.cancel(wake) }
    wake = LoopActor.loop.after(span) { [weak self] in
      self?.wake = nil
      self?.advance()
    }
  }

  // MARK: Progress

  /// Its settlements hold up what it might send.
  var isHeldUp: Bool { outbox.unsavedCount * 2 >= record.limits.inFlight }

  private func noteProgress() {
    if outbox.hasChanges { tools.book.note(self, isUrgent: isHeldUp) }
  }

  func takeStep() -> DestinationStore.Step? {
    guard let settlement = outbox.takeSettlement() else { return nil }
    page += Int64(settlement.attempts.count)
    return DestinationStore.Step(
      record: record, settlement: settlement, replay: replay, page: page, forgottenPage: page - tools.logLimit)
  }

  func saved(_ step: DestinationStore.Step) {
    outbox.saved(step.settlement)
    advance()
  }
}
