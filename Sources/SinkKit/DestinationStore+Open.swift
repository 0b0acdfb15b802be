// Deliveries that are not over: held for another attempt, or set aside.

internal import Basics
package import CallModel
package import Store

extension DestinationStore {
  /// Oldest first.
  package func open(_ record: DestinationRecord, state: OpenDelivery.State, after: Position, limit: Int)
    async throws(StoreError) -> [OpenDelivery]
  {
    let journal = journal
    return try await store.run(of: record.tenant) { rows throws(StoreError) in
      try Self.open(record.id, journal, rows, state: state, after: after, limit: limit)
    }
  }

  static func open(
    _ id: UUID, _ journal: UUID, _ rows: TenantRows, state: OpenDelivery.State, after: Position = .start, limit: Int
  ) throws(StoreError) -> [OpenDelivery] {
    try rows.rows(
      """
      SELECT position, event_id, lane, type, state, attempts, next_at, reason, since
      FROM deliveries
      WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND state = ?4 AND position > ?5
      ORDER BY position
      LIMIT ?6
      """, .id(id), .id(journal), .text(state.rawValue), .int(after.value), .int(Int64(limit))
    ).compactMap(OpenDelivery.init)
  }

  package func countAside(of record: DestinationRecord) async throws(StoreError) -> Int {
    let journal = journal
    return try await store.run(of: record.tenant) { rows throws(StoreError) in
      let row = try rows.rows(
        """
        SELECT count(*)
        FROM deliveries
        WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND state = 'aside'
        """, .id(record.id), .id(journal))[0]
      return Int(row[0].int ?? 0)
    }
  }

  /// Removes what was set aside.
  package func forget(_ positions: [Position], of record: DestinationRecord) async throws(StoreError) {
    let journal = journal
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      for position in positions {
        try rows.rows(
          """
          DELETE FROM deliveries
          WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND position = ?4 AND state = 'aside'
          """, .id(record.id), .id(journal), .int(position.value))
      }
      try rows.rows(
        """
        UPDATE checkpoints SET set_aside = (
          SELECT count(*) FROM deliveries
          WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND state = 'aside')
        WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3
        """, .id(record.id), .id(journal))
    }
  }
}

extension OpenDelivery {
  init?(_ row: [SQLValue]) {
    guard let position = row[0].int, let event = row[1].uuid, let lane = row[2].uuid, let type = row[3].text,
      let state = row[4].text.flatMap(State.init(rawValue:)), let attempts = row[5].int, let nextAt = row[6].time,
      let reason = row[7].text, let since = row[8].time
    else { return nil }
    self.init(
      position: Position(position), event: EventID(event), lane: lane, type: type, state: state,
      attempts: Int(attempts), nextAt: nextAt, reason: reason, since: since)
  }
}
