// What an administrator does with destinations.

package import Basics
package import CallModel
internal import Loop
internal import Store

@LoopActor
extension Destinations {
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
    try await Self.storing { () async throws(StoreError) in try await self.begin(record, at: checkpoint) }
    return try courier(record.id, of: record.tenant)
  }

  /// All of it or nothing: what is half made would keep its name taken.
  private func begin(_ record: DestinationRecord, at checkpoint: Position) async throws(StoreError) {
    try await store.insert(record, at: checkpoint)
    do throws(StoreError) {
      try await take(
        StoredDestination(
          record: record, state: DestinationState(.active, since: record.createdAt),
          progress: Progress(checkpoint: checkpoint), open: []))
    } catch {
      try? await store.delete(record)
      throw error
    }
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

  /// Signs with a new secret; those before go along until their overlap is over.
  package func rotateSecret(_ id: UUID, of tenant: UUID, overlapHours: Double) async throws(DestinationError) {
    let courier = try courier(id, of: tenant)
    if courier.record.origin == .file { throw .fromFile }
    guard changing.insert(id).inserted else { throw .changing }
    defer { changing.remove(id) }
    var record = courier.record
    let now = tools.wall()
    record.rotateSecret(until: now.adding(seconds: overlapHours * 3600), at: now)
    let changed = record
    try await Self.storing { () async throws(StoreError) in try await self.store.update(changed) }
    courier.change(changed)
  }
}
