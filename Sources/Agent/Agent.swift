// Which rooms, in which order. Receivers start before givers and stop after them.

internal import Admin
internal import AsteriskSource
internal import Basics
internal import CShims
internal import CSystemd
internal import CallModel
internal import Config
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

  package private(set) var config: AgentConfig
  package let health = HealthBoard()
  /// The port that is listened on, once `start` has returned.
  package private(set) var port = 0

  private let metrics = MetricRegistry()
  private var lock: Int32 = -1
  private var journal: Journal?
  private var identity: IdentityRoom?
  private var hub: Hub?
  private var pipeline: Pipeline?
  private var source: (any PBXSource)?
  private var database: PBXDatabase?
  private var completeness: Completeness?
  private var people: PeopleWatch?
  private var upstream: UpstreamDesk?
  private var relay: RelayService?
  private var server: HTTPServer?
  private var signals: Signals?
  private var onDone: CheckedContinuation<Int32, Never>?
  private var exitCode: Int32?
  private let startedAt = Moment.now()

  private let handledSignals: [Int32]
  private let readAgain: () throws -> AgentConfig

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
    let worker = Worker(name: "worker", isBackground: true)
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

  /// The PBX's own records: history, and what the journal missed.
  private func openDatabase(_ journal: Journal, _ pipeline: Pipeline) {
    guard config.threecxDatabase.isOn else { return }
    let database = PBXDatabase(config.threecxDatabase, health: health, region: config.region)
    self.database = database
    completeness = Completeness(
      journal: journal, database: database, recordingsFolder: config.threecxDatabase.recordingsFolder,
      source: pipeline.board.source, metrics: metrics,
      tell: { [unowned pipeline] in pipeline.tell($0) })
    completeness?.start()
    people = PeopleWatch(database, pipeline: pipeline)
    people?.start()
  }

  private func makeSource(_ pipeline: Pipeline) throws -> (any CallCommands)? {
    if config.threecx.isOn { return try makeThreeCX(pipeline) }
    if config.asterisk.isOn { return makeAsterisk(pipeline) }
    // Without an API, the PBX's records still tell of every call once it has ended.
    if config.threecxDatabase.isOn { return nil }
    health.raise(AgentCondition.noPBX)
    return nil
  }

  private func makeThreeCX(_ pipeline: Pipeline) throws -> any CallCommands {
    let source = try ThreeCXSource(
      config.threecx, epoch: pipeline.board.epoch, outlet: pipeline, health: health, metrics: metrics)
    self.source = source
    pipeline.onLoss = { [unowned source] in source.reconnect() }
    return ThreeCXCommands(source) { [unowned pipeline] group, request in pipeline.expect(group, request) }
  }

  private func makeAsterisk(_ pipeline: Pipeline) -> any CallCommands {
    let source = AsteriskSource(config.asterisk, outlet: pipeline, health: health, metrics: metrics)
    self.source = source
    pipeline.onUnexplained = { [unowned source] channel in source.probe(channel) }
    pipeline.onStranded = { [unowned source] channel in source.release(channel) }
    pipeline.onLoss = { [unowned source] in source.reconnect() }
    return AsteriskCommands(source) { [unowned pipeline] group, request in pipeline.expect(group, request) }
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

  private func listen(_ journal: Journal, _ identity: IdentityRoom, _ relay: RelayService, _ further: [Route]) throws {
    let gate = Gate(
      identity: identity, allowsAnonymousRead: config.relay.anonymousRead,
      requestsPerMinute: config.relay.requestsPerMinute,
      queryCredentialPaths: RelayRoutes.queryCredentialPaths)
    let routes = RelayRoutes(
      service: relay, history: { [desk = HistoryDesk(journal: journal, database: database)] in await desk.page($0) },
      issueTicket: { [unowned identity] caller in identity.tickets.issue(to: caller) })
    let router = Router(routes.routes)
    let desk = AdminDesk(
      config: config, journal: journal, metrics: metrics, relay: routes, source: { [weak self] in self?.source },
      applyRetention: { [weak self] in await self?.applyRetention() }, startedAt: startedAt)
    let admin = AdminRoutes(identity: identity, health: health, ports: desk.ports)
    let own = AgentRoutes(health: health, metrics: metrics, journal: journal, completeness: completeness)
    for route in own.routes + admin.routes + further { router.add(route) }
    AgentRoutes.complete(router)
    let server = HTTPServer(router: router, config: config.http)
    server.authorise = { request, access, peer throws(APIError) in try gate.authorise(request, access, peer: peer) }
    observe(server, relay)
    port = try server.listen(at: Self.inheritedListener ?? config.listen)
    try server.listen(at: .unix(path: config.controlSocket), isOperator: true)
    self.server = server
  }

  private func observe(_ server: HTTPServer, _ relay: RelayService) {
    let requests = metrics.counter("sidetone_http_requests_total", "Requests answered")
    let failures = metrics.counter("sidetone_http_errors_total", "Requests answered with a status of 500 or more")
    server.onRequest = { status in
      requests.add()
      if status >= 500 { failures.add() }
    }
    server.onFault = { id, reason in Log.error("a request failed", [.requestID: id, .errorText: reason]) }
  }

  private static func hostName() -> String {
    ((try? Files.read("/etc/hostname", limit: 256)).map { String(decoding: $0, as: UTF8.self).trimmed }) ?? "localhost"
  }

  // MARK: While it runs

  /// Retention, the watchdog and the gauges: little, often.
  private func keepHouse() {
    let clients = metrics.gauge("sidetone_clients", "Clients that are subscribed to events")
    let legs = metrics.gauge("sidetone_legs", "Channels of the PBX that are being followed")
    let turn = metrics.gauge(
      "sidetone_loop_turn_microseconds", "Longest turn of the event loop in the last ten seconds")
    var round = 0
    @LoopActor func tick() {
      LoopActor.loop.after(.seconds(10)) { [weak self] in
        guard let self, exitCode == nil else { return }
        clients.set(relay?.clientCount ?? 0)
        legs.set(pipeline?.board.legCount ?? 0)
        let longest = LoopActor.loop.takeLongestTurn()
        turn.set(Int(longest.nanoseconds / 1000))
        if longest > .milliseconds(100) {
          health.raise(AgentCondition.slowLoop)
        } else {
          health.clear(AgentCondition.slowLoop)
        }
        sd_notify(0, "WATCHDOG=1\nSTATUS=\(health.status)")
        round += 1
        if round % 6 == 1 {
          prune()
          LoopActor.begin { [self] in await identity?.keys.saveUses() }
        }
        tick()
      }
    }
    tick()
  }

  private func prune() {
    LoopActor.begin { [self] in
      // Ends when nothing is left to remove; slices let appends through.
      let gone = await applyRetention()
      if let gone, gone > 0 { Log.info("retention removed entries", [.count: String(gone)]) }
    }
  }

  private func applyRetention() async -> Int? {
    await upstream?.prune(days: config.retentionDays, mebibytes: config.retentionMiB)
  }

  /// Runs until a signal or a failure ends it. Gives the exit code.
  package func runUntilDone() async -> Int32 {
    if let exitCode { return exitCode }
    return await withCheckedContinuation { onDone = $0 }
  }

  // MARK: Reload

  /// Reads the configuration anew. What can be changed while it runs is changed; the rest is named. A configuration
  /// with faults changes nothing.
  private func reload() {
    sd_notify(0, "RELOADING=1")
    defer { sd_notify(0, "READY=1\nSTATUS=\(health.status)") }
    do {
      let fresh = try readAgain()
      Log.configure(level: fresh.logLevel, format: fresh.logFormat)
      (config.logLevel, config.logFormat) = (fresh.logLevel, fresh.logFormat)
      (config.retentionDays, config.retentionMiB) = (fresh.retentionDays, fresh.retentionMiB)
      let changed = fresh.settings.filter { setting in
        !Self.reloadable.contains(setting.name)
          && !config.settings.contains { $0.name == setting.name && $0.value == setting.value }
      }.map(\.name)
      if changed.isEmpty {
        Log.notice("the configuration was read again")
      } else {
        Log.warning(
          "the configuration was read again; these keys count after a restart",
          [.setting: changed.joined(separator: ", ")])
      }
      health.clear(AgentCondition.configInvalid)
    } catch {
      Log.error("the configuration has faults; the one before goes on", [.errorText: "\(error)"])
      health.raise(AgentCondition.configInvalid, detail: "\(error)")
    }
  }

  private static let reloadable: Set<String> = [
    "[log] level", "[log] format", "[journal] retention_days", "[journal] retention_mib",
  ]

  /// The socket that systemd listens on for us, if it does.
  private static var inheritedListener: Listener.Place? {
    guard Environment["LISTEN_PID"].flatMap({ Int32($0) }) == getpid(),
      let count = Environment["LISTEN_FDS"].flatMap({ Int($0) }), count >= 1
    else { return nil }
    return .inherited(3)
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
