// What went to a destination, what did not, and sending it again.

package import Basics
package import CallModel
internal import Crypto
internal import Loop
internal import Store

@LoopActor
extension Destinations {
  /// Returns when it is kept: a crash does not forget it.
  package func replay(_ replay: Replay, to id: UUID, of tenant: UUID) async throws(DestinationError) {
    guard try courier(id, of: tenant).begin(replay) else { throw .replayUnderWay }
    await tools.book.flush()
  }

  /// What it has not been given, as far as the first `limit` of them.
  package func undelivered(_ courier: Courier, limit: Int = 10_000) async -> (events: [EventID], isAll: Bool) {
    let record = courier.record
    var open: [OpenDelivery] = []
    for state in [OpenDelivery.State.held, .aside] {
      open += (try? await store.open(record, state: state, after: .start, limit: limit)) ?? []
    }
    let settled = courier.outbox.done.union(open.map(\.position))
    var (events, after) = (open.map(\.event), courier.outbox.counts.checkpoint)
    while events.count < limit {
      guard let page = await tools.feed.page(after: after, limit: 256), let last = page.last else {
        return (events, true)
      }
      events += page.filter {
        $0.tenant.uuid == record.tenant && record.filter.matches($0) && !settled.contains($0.position)
      }.map(\.id)
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
    courier.again(own)
    await recountAside(courier)
    return own.count
  }

  /// As `sendAgain`, of all that is set aside, in pieces; what finds no room among the held ones stays where it is.
  package func sendAsideAgain(to id: UUID, of tenant: UUID) async throws(DestinationError) -> Int {
    let courier = try courier(id, of: tenant)
    var (count, after) = (0, Position.start)
    while courier.outbox.heldCount < courier.record.limits.held {
      let rows = try await open(id, of: tenant, state: .aside, after: after, limit: Self.piece)
      guard let last = rows.last else { break }
      count += try await sendAgain(rows.map(\.position), to: id, of: tenant)
      after = last.position
    }
    return count
  }

  /// So many rows are read at once where all are meant.
  private static let piece = 1000

  private func recountAside(_ courier: Courier) async {
    await tools.book.flush()
    if let count = try? await store.countAside(of: courier.record) { courier.asideChanged(to: count) }
  }

  /// - Parameter positions: nil for all.
  /// - Returns: the events that went, for the loss ledger.
  package func letGo(_ positions: [Position]?, of id: UUID, tenant: UUID) async throws(DestinationError) -> [EventID] {
    let courier = try courier(id, of: tenant)
    let wanted = positions.map { Set($0) }
    var (gone, after): ([EventID], Position) = ([], .start)
    while case let page = try await open(id, of: tenant, state: .aside, after: after, limit: Self.piece),
      let last = page.last
    {
      let rows = page.filter { wanted?.contains($0.position) ?? true }
      try await Self.storing { () async throws(StoreError) in
        try await self.store.forget(rows.map(\.position), of: courier.record)
      }
      (gone, after) = (gone + rows.map(\.event), last.position)
    }
    await recountAside(courier)
    return gone
  }

  /// What is set aside and stood before `oldest`, where the journal has nothing any more: it cannot be sent again.
  /// - Parameter note: keeps the events in the loss ledger; they leave the list afterwards.
  package func forgetAside(
    before oldest: Position, note: @LoopActor (_ destination: String, [EventID]) async throws -> Void
  ) async throws {
    for record in couriers.values.filter({ $0.outbox.counts.setAside > 0 }).map(\.record) {
      let rows = try await open(record.id, of: record.tenant, state: .aside, after: .start, limit: Self.piece)
      let gone = rows.filter { $0.position < oldest }
      guard !gone.isEmpty else { continue }
      try await note(record.name, gone.map(\.event))
      _ = try await letGo(gone.map(\.position), of: record.id, tenant: record.tenant)
    }
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
}
