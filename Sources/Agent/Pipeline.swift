// Where the one way through the house is joined: source ─▶ normaliser ─▶ journal ─▶ hub.

internal import AsteriskSource
internal import Basics
internal import CallModel
internal import Health
internal import Hub
internal import Journal
internal import Log
internal import Loop
internal import Metrics
internal import Normaliser
internal import SourceKit

@LoopActor
final class Pipeline: SourceOutlet {
  private let journal: Journal
  private let hub: Hub
  private let health: HealthBoard
  private let makeBoard: @LoopActor () -> Switchboard
  private(set) var board: Switchboard
  /// Told the names of channels that nothing explains, a moment after they came up.
  var onUnexplained: @LoopActor (String) -> Void = { _ in }
  /// A channel is held by command and its other party is gone.
  var onStranded: @LoopActor (ChannelFacts) -> Void = { _ in }
  /// Events were lost: the link must begin anew.
  var onLoss: @LoopActor () -> Void = {}
  /// Entries are in the journal and with the subscribers.
  var onPublished: @LoopActor () -> Void = {}

  private let eventCount: Metric
  private let observationCount: Metric
  private let lossCount: Metric
  private let latency: Histogram
  private let pbxLatency: Histogram
  private var offered: [EventID: Moment] = [:]
  private var isLosing = false
  private var probes: [String: Int] = [:]
  private var isProbing = false

  init(
    journal: Journal, hub: Hub, health: HealthBoard, metrics: MetricRegistry,
    makeBoard: @escaping @LoopActor () -> Switchboard
  ) {
    (self.journal, self.hub, self.health, self.makeBoard) = (journal, hub, health, makeBoard)
    board = makeBoard()
    eventCount = metrics.counter("sidetone_events_total", "Events kept in the journal")
    observationCount = metrics.counter("sidetone_observations_total", "Messages from the PBX that said something")
    lossCount = metrics.counter("sidetone_events_lost_total", "Events that could not be kept")
    pbxLatency = metrics.histogram("sidetone_pbx_seconds", "From the PBX's own time of an event to its message read")
    latency = metrics.histogram("sidetone_journal_seconds", "From the PBX's message read to its events on disk")
    journal.onCommit = { [unowned self] entries in committed(entries) }
    journal.onWritable = { [unowned self] isWritable, reason in writable(isWritable, reason) }
  }

  /// Takes the open calls back from the journal.
  func restore() async throws {
    let open = try await journal.openCalls()
    board = makeBoard()
    let last = try await journal.entries(after: Position(journal.head.value - 1), limit: 1).first
    board.restore(open.compactMap { entry, told in entry.parsedCall.map { ($0, told) } }, lastSeen: last?.occurredAt)
    for (entry, _) in open { hub.remember(entry) }
    if !open.isEmpty { Log.notice("open calls taken back from the journal", [.count: String(open.count)]) }
  }

  // MARK: In

  func observe(_ observations: [Observation]) {
    observationCount.add(observations.count)
    guard !isLosing else { return lossCount.add(observations.count) }
    var events: [CallEvent] = []
    for observation in observations { events += board.apply(observation) }
    probeSoon()
    for channel in board.takeStranded() { onStranded(channel) }
    guard !events.isEmpty else { return }
    let (now, wall) = (Moment.now(), Timestamp.now())
    for event in events where !event.isInferred { pbxLatency.record(max(0, wall.seconds(since: event.occurredAt))) }
    if offered.count < 10_000, let last = events.last { offered[last.id] = now }
    if !journal.offer(events) { lose(events.count) }
  }

  /// Events of our own making that nobody can be asked for again.
  func tell(_ events: [CallEvent]) { if !events.isEmpty, !journal.offer(events) { lose(events.count) } }

  func expect(_ group: String, _ request: OriginateRequest) -> CallID {
    board.known(group: group) ?? board.expect(group: group, from: request.from, to: request.to, at: Timestamp.now())
  }

  // MARK: Out

  private func committed(_ entries: [JournalEntry]) {
    eventCount.add(entries.count)
    let now = Moment.now()
    for entry in entries {
      if let since = offered.removeValue(forKey: entry.id) { latency.record((now - since).seconds) }
    }
    hub.publish(entries)
    onPublished()
  }

  // MARK: Trouble

  private func lose(_ count: Int) {
    lossCount.add(count)
    guard !isLosing else { return }
    isLosing = true
    Log.error("events are being lost: the journal cannot write and its buffer is full", [.count: String(count)])
    health.raise(AgentCondition.eventsLost)
  }

  private func writable(_ isWritable: Bool, _ reason: String?) {
    if isWritable {
      health.clear(AgentCondition.journalNotWritable)
      Log.notice("the journal writes again")
      if isLosing { beginAnew() }
    } else {
      Log.error("the journal cannot write; reads go on", [.errorText: reason ?? ""])
      health.raise(AgentCondition.journalNotWritable, detail: reason)
    }
  }

  /// What was lost is not known: forget, take back what the journal has, and let a snapshot say what stands.
  private func beginAnew() {
    isLosing = false
    LoopActor.begin { [self] in
      // One bounded read of the journal; the link is closed when it is done, and comes back with a snapshot.
      try? await restore()
      onLoss()
    }
  }

  // MARK: Questions

  /// What runs on a channel that came up alone is asked shortly after, and a few times more while it prepares.
  private func probeSoon() {
    guard !isProbing, !board.unexplainedChannels.isEmpty else { return }
    isProbing = true
    LoopActor.loop.after(.milliseconds(300)) { [weak self] in
      guard let self else { return }
      isProbing = false
      let channels = board.unexplainedChannels
      probes = probes.filter { channels.contains($0.key) }
      for channel in channels where probes[channel, default: 0] < 5 {
        probes[channel, default: 0] += 1
        onUnexplained(channel)
      }
      if channels.contains(where: { probes[$0, default: 0] < 5 }) { probeSoon() }
    }
  }
}
