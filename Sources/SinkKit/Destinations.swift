// All destinations of this agent: made, changed, ended, and each with its courier.

package import Basics
package import CallModel
internal import Crypto
internal import Health
internal import Log
package import Loop
internal import Store

/// Why a destination was not made or changed.
package enum DestinationError: Error, Equatable {
  case notFound
  case nameTaken
  /// It stands in the configuration file; change it there.
  case fromFile
  case tooMany
  case replayUnderWay
  /// Somebody changes it at the same time.
  case changing
  case badField(String, String)
  case unavailable
}

/// Where a new destination begins.
package enum StartingPoint: Sendable, Equatable {
  case now
  case oldest
  case after(Position)
}

@LoopActor
package final class Destinations {
  package nonisolated static let perTenant = 100

  package private(set) var couriers: [UUID: Courier] = [:]
  package private(set) var isLoaded = false
  private let tools: CourierTools
  private let declared: [DestinationRecord]
  private let oldest: @LoopActor () -> Position
  /// Puts a sign of life on its way through the journal.
  private let tellHeartbeat: @LoopActor () -> Void
  private var isStopped = false
  private var changing: Set<UUID> = []

  /// - Parameter declared: those of the configuration file.
  package init(
    tools: CourierTools, declared: [DestinationRecord], oldest: @escaping @LoopActor () -> Position,
    tellHeartbeat: @escaping @LoopActor () -> Void
  ) {
    (self.tools, self.declared) = (tools, declared)
    (self.oldest, self.tellHeartbeat) = (oldest, tellHeartbeat)
  }

  private var store: DestinationStore { tools.book.store }

  // MARK: Life

  /// Takes up every destination where it was left; what cannot be read yet is asked again each second.
  package func start() async {
    beat()
    await load()
  }

  private func load() async {
    do throws(StoreError) {
      let stored = try await store.load()
      for record in declared { try await declare(record, known: stored) }
      for destination in try await store.load() where isOurs(destination.record) { try await take(destination) }
      isLoaded = true
      if tools.isShared { refreshLater() }
    } catch {
      guard !isStopped else { return }
      if !isWaiting {
        Log.warning("the destinations cannot be read yet; tried again each second", [.errorText: error.description])
      }
      isWaiting = true
      LoopActor.loop.after(.seconds(1)) { [self] in LoopActor.begin { [self] in await load() } }
    }
  }

  private var isWaiting = false

  /// What other agents on the same state made, changed and removed.
  private func refreshLater() {
    LoopActor.loop.after(.seconds(15)) { [weak self] in
      guard let self, !isStopped else { return }
      LoopActor.begin { [self] in
        await refresh()
        refreshLater()
      }
    }
  }

  private func refresh() async {
    guard let records = try? await store.records(), !isStopped else { return }
    let known = Dictionary(records.map { ($0.id, $0) }) { $1 }
    for (id, courier) in couriers where courier.record.origin == .api {
      guard let record = known[id] else {
        couriers[id] = nil
        courier.stop()
        continue
      }
      if record.updatedAt > courier.record.updatedAt { courier.change(record) }
    }
    if records.contains(where: { isOurs($0) }), let all = try? await store.load() {
      for destination in all where isOurs(destination.record) { try? await take(destination) }
    }
  }

  private func isOurs(_ record: DestinationRecord) -> Bool {
    couriers[record.id] == nil && (record.origin == .api || declared.contains { $0.id == record.id })
  }

  /// The file says what a destination is; the state says how far it has come.
  private func declare(_ record: DestinationRecord, known: [StoredDestination]) async throws(StoreError) {
    if let before = known.first(where: { $0.record.id == record.id })?.record {
      var now = record
      (now.createdAt, now.secretVersion, now.previousUntil) =
        (before.createdAt, before.secretVersion, before.previousUntil)
      try await store.update(now)
    } else if known.contains(where: { $0.record.tenant == record.tenant && $0.record.name == record.name }) {
      Log.error("a destination of the file has the name of one made by the API", [.sinkName: record.name])
      tools.health.raise(
        SinkCondition.broken, on: record.id.description,
        detail: "[sink.\(record.name)]: a destination made by the API has this name; rename one of them")
    } else {
      let start = record.beginsWithOldest ? Position(max(0, oldest().value - 1)) : tools.feed.head
      try await store.insert(record, at: start)
    }
  }

  private func take(_ destination: StoredDestination) async throws(StoreError) {
    var destination = destination
    if destination.record.origin == .file, let declared = declared.first(where: { $0.id == destination.record.id }) {
      destination.record.limits = declared.limits
    }
    let progress = destination.progress ?? Progress(checkpoint: tools.feed.head)
    if destination.progress == nil { try await store.begin(destination.record, at: progress.checkpoint) }
    let page = try await store.lastPage(of: destination.record)
    guard !isStopped, couriers[destination.record.id] == nil else { return }
    let courier = Courier(destination, progress: progress, page: page, tools: tools)
    couriers[destination.record.id] = courier
    courier.start()
  }

  /// New entries are in the journal.
  package func poke() { for courier in couriers.values { courier.poke() } }

  /// Nothing more is sent; returns when what was acknowledged is on disk.
  package func stop() async {
    isStopped = true
    for courier in couriers.values { courier.stop() }
    await tools.book.flush()
  }

  // MARK: Signs of life

  private func beat() {
    let heartbeat = tools.heartbeat
    guard heartbeat > .zero else { return }
    LoopActor.loop.after(heartbeat) { [weak self] in
      guard let self, !isStopped else { return }
      let beating = couriers.values.filter { $0.record.hasHeartbeat && $0.state.kind == .active }
      for courier in beating where courier.isQuiet(for: 3 * heartbeat.seconds) { courier.alarm() }
      if beating.contains(where: { $0.isQuiet(for: heartbeat.seconds / 2) }) { tellHeartbeat() }
      beat()
    }
  }

  /// What retention must keep as long as it can.
  package var claims: [(name: String, tenant: UUID, from: Position, filter: EventFilter)] {
    couriers.values.map { ($0.record.name, $0.record.tenant, $0.outbox.floor, $0.record.filter) }
  }

  // MARK: The administrator's

  package func all(of tenant: UUID) -> [Courier] {
    couriers.values.filter { $0.record.tenant == tenant }.sorted { $0.record.name < $1.record.name }
  }

  package func courier(_ id: UUID, of tenant: UUID) throws(DestinationError) -> Courier {
    guard let courier = couriers[id], courier.record.tenant == tenant else { throw .notFound }
    return courier
  }

  package func courier(named name: String, of tenant: UUID) throws(DestinationError) -> Courier {
    guard let courier = couriers.values.first(where: { $0.record.name == name && $0.record.tenant == tenant })
    else { throw .notFound }
    return courier
  }

  package func create(_ record: DestinationRecord, from start: StartingPoint) async throws(DestinationError) -> Courier
  {
    guard isLoaded else { throw .unavailable }
    guard all(of: record.tenant).count < Self.perTenant else { throw .tooMany }
    try mayBeNamed(record)
    let checkpoint =
      switch start {
      case .now: tools.feed.head
      case .oldest: Position(max(0, oldest().value - 1))
      case .after(let position): min(position, tools.feed.head)
      }
    try await Self.storing { () async throws(StoreError) in
      try await self.store.insert(record, at: checkpoint)
      try await self.take(
        StoredDestination(
          record: record, state: DestinationState(.active, since: record.createdAt),
          progress: Progress(checkpoint: checkpoint), open: []))
    }
    return try courier(record.id, of: record.tenant)
  }

  private func mayBeNamed(_ record: DestinationRecord) throws(DestinationError) {
    let isTaken = couriers.values.contains {
      $0.record.tenant == record.tenant && $0.record.name == record.name && $0.record.id != record.id
    }
    if isTaken { throw .nameTaken }
  }

  package func update(_ record: DestinationRecord) async throws(DestinationError) {
    let courier = try courier(record.id, of: record.tenant)
    if courier.record.origin == .file { throw .fromFile }
    try mayBeNamed(record)
    guard changing.insert(record.id).inserted else { throw .changing }
    defer { changing.remove(record.id) }
    try await Self.storing { () async throws(StoreError) in try await self.store.update(record) }
    courier.change(record)
  }

  /// What it had not been given is noted in the loss ledger by the caller.
  /// - Returns: the entries it had not been given: from this position on.
  package func remove(_ id: UUID, of tenant: UUID) async throws(DestinationError) -> Position {
    let courier = try courier(id, of: tenant)
    if courier.record.origin == .file { throw .fromFile }
    try await Self.storing { () async throws(StoreError) in try await self.store.delete(courier.record) }
    couriers[id] = nil
    courier.stop()
    return courier.outbox.floor
  }

  package func set(_ kind: DestinationState.Kind, _ id: UUID, of tenant: UUID, reason: String)
    async throws(DestinationError)
  {
    let courier = try courier(id, of: tenant)
    let state = DestinationState(kind, since: tools.wall(), reason: reason)
    try await Self.storing { () async throws(StoreError) in try await self.store.set(state, of: courier.record) }
    courier.set(state)
  }

  /// Signs with a new secret; the one before goes along until the overlap is over.
  package func rotateSecret(_ id: UUID, of tenant: UUID, overlapHours: Double) async throws(DestinationError) {
    let courier = try courier(id, of: tenant)
    if courier.record.origin == .file { throw .fromFile }
    guard changing.insert(id).inserted else { throw .changing }
    defer { changing.remove(id) }
    var record = courier.record
    record.secretVersion += 1
    record.previousUntil = tools.wall().adding(seconds: overlapHours * 3600)
    record.updatedAt = tools.wall()
    let changed = record
    try await Self.storing { () async throws(StoreError) in try await self.store.update(changed) }
    courier.change(changed)
  }

  // MARK: Deliveries

  /// Returns when it is kept: a crash does not forget it.
  package func replay(_ replay: Replay, to id: UUID, of tenant: UUID) async throws(DestinationError) {
    guard try courier(id, of: tenant).begin(replay) else { throw .replayUnderWay }
    await tools.book.flush()
  }

  /// What it has not been given, as far as the first `limit` of them.
  package func undelivered(_ courier: Courier, limit: Int = 10_000) async -> (events: [EventID], isAll: Bool) {
    let record = courier.record
    let held = (try? await store.open(record, state: .held, after: .start, limit: limit)) ?? []
    var (events, after) = (held.map(\.event), courier.outbox.counts.checkpoint)
    while events.count < limit {
      guard let page = await tools.feed.page(after: after, limit: 256), let last = page.last else {
        return (events, true)
      }
      events += page.filter { $0.tenant.uuid == record.tenant && record.filter.matches($0) }.map(\.id)
      after = last.position
    }
    return (events, false)
  }

  package func open(_ id: UUID, of tenant: UUID, state: OpenDelivery.State, after: Position, limit: Int)
    async throws(DestinationError) -> [OpenDelivery]
  {
    let record = try courier(id, of: tenant).record
    return try await Self.storing { () async throws(StoreError) in
      try await self.store.open(record, state: state, after: after, limit: limit)
    }
  }

  /// Sends the entries again that are still in the journal, and takes them off the list of those set aside.
  /// - Returns: how many are on their way.
  package func sendAgain(_ positions: [Position], to id: UUID, of tenant: UUID) async throws(DestinationError) -> Int {
    let courier = try courier(id, of: tenant)
    guard let entries = await tools.feed.entries(at: positions) else { throw .unavailable }
    let own = entries.filter { $0.tenant.uuid == tenant }
    let wanted = Set(own.map(\.position))
    let aside = try await open(id, of: tenant, state: .aside, after: .start, limit: 10_000)
    courier.again(own)
    let taken = aside.filter { wanted.contains($0.position) }.count
    if taken > 0 { courier.asideChanged(to: max(0, courier.outbox.counts.setAside - taken)) }
    await tools.book.flush()
    return own.count
  }

  /// - Returns: the rows that went, for the loss ledger.
  package func letGo(_ positions: [Position], of id: UUID, tenant: UUID) async throws(DestinationError)
    -> [OpenDelivery]
  {
    let courier = try courier(id, of: tenant)
    let record = courier.record
    let wanted = Set(positions)
    let rows = try await open(id, of: tenant, state: .aside, after: .start, limit: 10_000).filter {
      positions.isEmpty || wanted.contains($0.position)
    }
    try await Self.storing { () async throws(StoreError) in
      try await self.store.forget(rows.map(\.position), of: record)
    }
    courier.asideChanged(to: max(0, courier.outbox.counts.setAside - rows.count))
    return rows
  }

  package func log(of id: UUID, tenant: UUID, before: Int64, about position: Position?, limit: Int)
    async throws(DestinationError) -> [(page: Int64, attempts: [UInt8])]
  {
    let record = try courier(id, of: tenant).record
    return try await Self.storing { () async throws(StoreError) in
      try await self.store.log(of: record, before: before, about: position, limit: limit)
    }
  }

  /// One delivery outside of all order, to see whether it works.
  package func test(_ id: UUID, of tenant: UUID) async throws(DestinationError) -> (receipt: Receipt, event: UUID) {
    let courier = try courier(id, of: tenant)
    let own = courier.ownSink
    guard let sink = try? own ?? tools.makeSink(courier.record) else {
      throw .badField("url", "this destination cannot be used")
    }
    let entry = JournalEntry(
      position: .start, id: EventID(.random()), type: "sidetone.test", source: "sidetone://test",
      tenant: TenantID(tenant), occurredAt: tools.wall(), callID: nil, call: nil,
      detail: Array(#"{"message":"A test from Sidetone: nothing happened."}"#.utf8))
    let receipt = await sink.deliver(Delivery(entries: [entry]))
    if own == nil { sink.close() }
    return (receipt, entry.id.uuid)
  }

  private static func storing<T>(_ body: () async throws(StoreError) -> T) async throws(DestinationError) -> T {
    do throws(StoreError) {
      return try await body()
    } catch {
      if case .constraint = error { throw .nameTaken }
      throw .unavailable
    }
  }
}
