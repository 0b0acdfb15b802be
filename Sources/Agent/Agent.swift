// Which rooms, in which order. Receivers start before givers and stop after them.

internal import Basics
internal import CShims
internal import CSystemd
internal import CallModel
internal import Glibc
internal import HTTP
package import Health
internal import Hub
internal import Identity
internal import Journal
internal import Log
package import Loop
internal import Metrics
internal import Normaliser
internal import Relay
internal import SinkKit
internal import SourceKit
internal import Store
internal import ThreeCXSource
internal import Upstream

/// Why the agent could not start, with what to do about it.
package struct AgentFailure: Error, CustomStringConvertible {
  package let description: String
}

@LoopActor
package final class Agent {
  package nonisolated static let version = "0.1.0"

  package internal(set) var config: AgentConfig
  package let health = HealthBoard()
  /// The port that is listened on, once `start` has returned.
  package internal(set) var port = 0

  let metrics = MetricRegistry()
  private var lock: Int32 = -1
  var journal: Journal?
  var identity: IdentityRoom?
  var hub: Hub?
  var pipeline: Pipeline?
  var source: (any PBXSource)?
  var database: PBXDatabase?
  var completeness: Completeness?
  var people: PeopleWatch?
  var upstream: UpstreamDesk?
  var relay: RelayService?
  var server: HTTPServer?
  private var signals: Signals?
  private var onDone: CheckedContinuation<Int32, Never>?
  var exitCode: Int32?
  let startedAt = Moment.now()

  private let handledSignals: [Int32]
  let readAgain: () throws -> AgentConfig

  /// - Parameters:
  ///   - handledSignals: signals that end the agent in good order, and SIGHUP; none for one that serves one command.
  ///   - readAgain: reads the configuration anew.
  package init(
    _ config: AgentConfig, handlingSignals handledSignals: [Int32] = [],
    readAgain: @escaping () throws -> AgentConfig = { AgentConfig() }
  ) {
    (self.config, self.handledSignals, self.readAgain) = (config, handledSignals, readAgain)
  }

  // MARK: Start

  /// - Parameter isQuiet: says nothing of being ready: for a command that needs the agent's rooms for a moment.
  package func start(isQuiet: Bool = false) async throws {
    // Before the first thread starts: threads inherit the mask, and one that did not would take the signal and die of it.
    if !handledSignals.isEmpty {
      signals = Signals(handledSignals) { [unowned self] signal in if signal == SIGHUP { reload() } else { drain() } }
    }
    try takeLock()
    let worker = Worker(name: "worker", share: .background)
    let journal = try await Journal.open(path: config.journalPath, helper: worker)
    self.journal = journal
    journal.onCorrupt = { [unowned self] reason in
      Log.error("the journal is damaged; the agent ends", [.errorText: reason])
      finish(1)
    }
    let store = try Store.connect(config.storage.place(file: config.statePath))
    let secret = try config.identity.serverSecret(keptAt: config.secretPath)
    let identity = IdentityRoom(
      store, secret: secret,
      loginsPerMinute: config.identity.loginsPerMinute, keysPerHour: config.identity.keysPerHour, worker: worker)
    try await load(identity, store)
    let hub = Hub(log: JournalLog(journal))
    self.hub = hub
    let pipeline = makePipeline(journal, hub)
    try await pipeline.restore()
    let upstream = UpstreamDesk(
      config: config.sinks, secret: secret, journal: journal, hub: hub, store: store, health: health, metrics: metrics,
      pipeline: pipeline, isSending: !isQuiet, isShared: !config.storage.url.isEmpty)
    self.upstream = upstream
    let commands = try makeSource(pipeline)
    openDatabase(journal, pipeline)
    let relay = RelayService(hub: hub, config: config.relay, commands: commands, ledger: StoreLedger(store))
    relay.isJournalWritable = { [unowned journal] in journal.isWritable }
    relay.present = { [unowned pipeline] id in pipeline.board.call(id) }
    identity.onEnded { [unowned relay] id in relay.revoke(id) }
    self.relay = relay
    relay.furtherCapabilities = { [database, hasAPI = commands != nil] in
      guard let database else { return [] }
      return (hasAPI ? [] : PBXDatabase.withoutAPI) + (await database.capabilities())
    }
    let audit = AuditLog(store)
    try listen(journal, identity, relay, upstream.routes(relay: relay, audit: audit, config: config.sinks).routes)
    source?.start()
    await upstream.destinations.start()
    self.isQuiet = isQuiet
    if isQuiet { return }
    keepHouse()
    sd_notify(0, "READY=1")
    Log.notice("ready", [.version: Self.version, .position: journal.head.description])
  }

  private func takeLock() throws {
    try Files.makeFolder(config.dataFolder)
    if !config.runtimeFolder.isEmpty { try Files.makeFolder(config.runtimeFolder) }
    lock = shim_lock_file(config.lockPath)
    guard lock >= 0 else {
      throw AgentFailure(
        description: "\(config.dataFolder) is in use or not writable: is another agent running? (\(config.lockPath))")
    }
  }

  private func makePipeline(_ journal: Journal, _ hub: Hub) -> Pipeline {
    let (host, region) = (config.host.isEmpty ? Self.hostName() : config.host, config.region)
    let kind = config.threecx.isOn || config.threecxDatabase.isOn ? "3cx" : "asterisk"
    let pipeline = Pipeline(journal: journal, hub: hub, health: health, metrics: metrics) {
      Switchboard(source: "sidetone://\(host)/\(kind)", region: region)
    }
    self.pipeline = pipeline
    return pipeline
  }

  /// A state that cannot be read yet keeps nobody from hearing the PBX: whoever asks meanwhile is told to come again.
  private func load(_ identity: IdentityRoom, _ store: Store) async throws {
    self.identity = identity
    store.onFault = { [health] reason in
      if let reason {
        Log.error("the state store cannot be used", [.errorText: reason])
        health.raise(AgentCondition.stateUnavailable, detail: reason)
      } else {
        Log.notice("the state store can be used again")
        health.clear(AgentCondition.stateUnavailable)
      }
    }
    do throws(StoreError) {
      try await identity.load()
    } catch {
      guard case .unavailable = error else { throw AgentFailure(description: error.description) }
      loadLater(identity)
    }
  }

  private func loadLater(_ identity: IdentityRoom) {
    LoopActor.loop.after(.seconds(1)) { [weak self] in
      guard let self, exitCode == nil else { return }
      LoopActor.begin { [self] in
        // Tried each second until the state answers.
        do throws(StoreError) { try await identity.load() } catch { loadLater(identity) }
      }
    }
  }

  /// Runs until a signal or a failure ends it. Gives the exit code.
  package func runUntilDone() async -> Int32 {
    if let exitCode { return exitCode }
    return await withCheckedContinuation { onDone = $0 }
  }

  // MARK: Stop

  private var isDraining = false
  private var isQuiet = false

  /// Givers first: no new observations, then the clients, then the journal's last commit.
  package func drain() {
    guard !isDraining else { return finish(0) }
    isDraining = true
    if !isQuiet { Log.notice("stopping") }
    sd_notify(0, "STOPPING=1")
    source?.stop()
    completeness?.stop()
    people?.stop()
    database?.stop()
    relay?.drain()
    server?.drain()
    LoopActor.loop.after(.seconds(10)) { [weak self] in self?.finish(0) }
    LoopActor.begin { [self] in
      // Each flush ends when its queue is empty; the timer above is the limit.
      await journal?.flush()
      await upstream?.destinations.stop()
      waitForClients()
    }
  }

  private func waitForClients() {
    guard let server, server.connectionCount > 0 || (relay?.clientCount ?? 0) > 0 else { return finish(0) }
    LoopActor.loop.after(.milliseconds(50)) { [weak self] in self?.waitForClients() }
  }

  private func finish(_ code: Int32) {
    guard exitCode == nil else { return }
    exitCode = code
    onDone?.resume(returning: code)
    onDone = nil
  }
}
