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

  package internal(set) var couriers: [UUID: Courier] = [:]
  package private(set) var isLoaded = false
  let tools: CourierTools
  private let declared: [DestinationRecord]
  let oldest: @LoopActor () -> Position
  /// Puts a sign of life on its way through the journal.
  private let tellHeartbeat: @LoopActor () -> Void
  private var isStopped = false
  var changing: Set<UUID> = []

  /// - Parameter declared: those of the configuration file.
  package init(
    tools: CourierTools, declared: [DestinationRecord], oldest: @escaping @LoopActor () -> Position,
    tellHeartbeat: @escaping @LoopActor () -> Void
  ) {
    (self.tools, self.declared) = (tools, declared)
    (self.oldest, self.tellHeartbeat) = (oldest, tellHeartbeat)
  }

  var store: DestinationStore { tools.book.store }

  // MARK: Life

  /// Takes up every destination where it was left; what cannot be read yet is asked again each second.
  package func start() async {
    beat()
    await load()
  }

  private func load() async {
    do throws(StoreError) {
      let stored = try await store.load()
      try await freeNames(of: stored)
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

  /// What left the file is kept, should it come back, under a name that nobody asks for. Others on the same state have
  /// files of their own.
  private func freeNames(of stored: [StoredDestination]) async throws(StoreError) {
    let mark = " (not in the file)"
    for var record in stored.map(\.record) where record.origin == .file && !tools.isShared {
      guard !declared.contains(where: { $0.id == record.id }), !record.name.hasSuffix(mark) else { continue }
      record.name += mark
      try await store.update(record)
    }
  }

  /// The file says what a destination is; the state says how far it has come.
  private func declare(_ record: DestinationRecord, known: [StoredDestination]) async throws(StoreError) {
    let namesake = known.first {
      $0.record.tenant == record.tenant && $0.record.name == record.name && $0.record.id != record.id
    }
    if namesake == nil, let before = known.first(where: { $0.record.id == record.id })?.record {
      var now = record
      (now.createdAt, now.secretVersion, now.previousUntil, now.olderSecrets) =
        (before.createdAt, before.secretVersion, before.previousUntil, before.olderSecrets)
      try await store.update(now)
    } else if namesake != nil {
      Log.error("a destination of the file has the name of one made by the API", [.sinkName: record.name])
      tools.health.raise(
        SinkCondition.broken, on: record.id.description,
        detail: "[sink.\(record.name)]: a destination made by the API has this name; rename one of them")
    } else {
      let start = record.beginsWithOldest ? Position(max(0, oldest().value - 1)) : tools.feed.head
      try await store.insert(record, at: start)
    }
  }

  func take(_ destination: StoredDestination) async throws(StoreError) {
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

  static func storing<T>(_ body: () async throws(StoreError) -> T) async throws(DestinationError) -> T {
    do throws(StoreError) {
      return try await body()
    } catch {
      if case .constraint = error { throw .nameTaken }
      throw .unavailable
    }
  }
}
