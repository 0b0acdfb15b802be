// Carries entries to one destination: reads for the outbox, sends what it says may go, tells it what came back, and has
// its progress kept. One per destination; none waits for another.

package import Basics
internal import CallModel
internal import Health
internal import Log
package import Loop
internal import Metrics

@LoopActor
package final class Courier {
  package private(set) var record: DestinationRecord
  package private(set) var state: DestinationState
  package internal(set) var outbox: Outbox
  package internal(set) var replay: Replay?
  package private(set) var tally = Tally()
  package private(set) var lastAccepted: Timestamp?
  package private(set) var lastFailure: (at: Timestamp, reason: String)?

  let tools: CourierTools
  private var sink: (any Sink)?
  private var isReading = false
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

  /// The way to the peer, for one delivery outside of all order.
  package var ownSink: (any Sink)? { sink }

  // MARK: Life

  package func start() {
    guard tools.isSending else { return }
    openSink()
    showState()
    if outbox.counts.setAside > 0 { tools.health.raise(SinkCondition.setAside, on: subject) }
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
      tools.health.raise(SinkCondition.broken, on: subject, detail: "\(error)")
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

  /// The record as it is now; what is loaded is read anew under it.
  package func change(_ record: DestinationRecord) {
    self.record = record
    outbox.change(record.limits, rate: record.ratePerSecond.map(Double.init), at: tools.now())
    openSink()
    advance()
  }

  package func set(_ state: DestinationState) {
    self.state = state
    showState()
    if state.kind == .active { outbox.hurry(at: tools.now()) }
    advance()
  }

  private func showState() {
    if state.kind == .gone {
      tools.health.raise(SinkCondition.gone, on: subject, detail: state.reason)
    } else {
      tools.health.clear(SinkCondition.gone, on: subject)
    }
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

  private func read() {
    while !isReading, outbox.room > 0, outbox.cursor < tools.feed.head {
      guard let page = tools.feed.recentPage(after: outbox.cursor, limit: min(64, outbox.room)) else {
        // From the disk in pieces that are worth the way there.
        if outbox.room >= Self.worthReading || outbox.loadedCount == 0 { readPage(outbox.room) }
        return feedReplay()
      }
      if page.isEmpty { break }
      take(page)
    }
    feedReplay()
  }

  private static let worthReading = 128

  private func readPage(_ room: Int) {
    isReading = true
    let after = outbox.cursor
    // Ends by itself: one bounded read.
    LoopActor.begin { [self] in
      let page = await tools.feed.page(after: after, limit: min(256, room))
      isReading = false
      guard !isStopped else { return }
      guard let page else { return wake(after: .seconds(1)) }
      if page.isEmpty { return wake(after: .seconds(1)) }
      take(page)
      advance()
    }
  }

  private func take(_ page: [JournalEntry]) {
    for entry in page { outbox.offer(entry, isWanted: wants(entry)) }
  }

  private func wants(_ entry: JournalEntry) -> Bool {
    if entry.type == EventFilter.heartbeatType {
      return record.hasHeartbeat && isQuiet(for: tools.heartbeat.seconds / 2)
    }
    return entry.tenant.uuid == record.tenant && record.filter.matches(entry)
  }

  /// Whether nothing was acknowledged for that many seconds.
  package func isQuiet(for seconds: Double) -> Bool {
    tools.wall().seconds(since: lastAccepted ?? state.since) >= seconds
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
    if outbox.counts.setAside != asideBefore { tools.health.raise(SinkCondition.setAside, on: subject) }
    showBreaker(receipt)
    if receipt.verdict == .gone { stopForGood(receipt) }
    advance()
  }

  private var isSilent = false

  /// Nothing has reached it for long.
  package func alarm() {
    isSilent = true
    let detail = lastFailure.map { "\(record.name): \($0.reason)" } ?? record.name
    tools.health.raise(SinkCondition.silent, on: subject, detail: detail)
  }

  private func hush() {
    isSilent = false
    tools.health.clear(SinkCondition.silent, on: subject)
  }

  private var isFailing = false

  private func showBreaker(_ receipt: Receipt) {
    guard outbox.breaker.isClosed == isFailing else { return }
    isFailing = !outbox.breaker.isClosed
    if isFailing {
      Log.warning("a destination does not take events", [.sinkName: record.name, .errorText: receipt.reason])
      tools.health.raise(SinkCondition.failing, on: subject, detail: "\(record.name): \(receipt.reason)")
    } else {
      Log.info("a destination takes events again", [.sinkName: record.name])
      tools.health.clear(SinkCondition.failing, on: subject)
    }
  }

  private func stopForGood(_ receipt: Receipt) {
    guard state.kind == .active else { return }
    set(DestinationState(.gone, since: tools.wall(), reason: receipt.reason))
    Log.error("a destination is no more and is stopped", [.sinkName: record.name, .errorText: receipt.reason])
    let (state, record) = (state, record)
    // Kept for after a restart; should this fail, the destination says so again.
    LoopActor.begin { [tools] in try? await tools.book.store.set(state, of: record) }
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
