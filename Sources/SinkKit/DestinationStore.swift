// Destinations and how far each has come, in the state store. Progress is of one journal: agents that share a state
// share its destinations, and each delivers what it heard itself.

package import Basics
package import CallModel
package import Store

/// A destination with all that a start needs to know of it.
package struct StoredDestination: Sendable {
  package var record: DestinationRecord
  package var state: DestinationState
  /// Nil when this journal has delivered nothing to it yet.
  package var progress: Progress?
  package var open: [OpenDelivery]
  package var replay: Replay?
}

package struct DestinationStore: Sendable {
  package let store: Store
  package let journal: UUID

  package init(_ store: Store, journal: UUID) { (self.store, self.journal) = (store, journal) }

  package func load() async throws(StoreError) -> [StoredDestination] {
    let journal = journal
    return try await store.run { session throws(StoreError) in
      var found: [StoredDestination] = []
      for record in try Self.records(session) {
        found.append(try Self.stored(record, journal, session.of(record.tenant)))
      }
      return found
    }
  }

  /// The records alone, for agents that share them.
  package func records() async throws(StoreError) -> [DestinationRecord] {
    try await store.run { session throws(StoreError) in try Self.records(session) }
  }

  private static func records(_ session: StoreSession) throws(StoreError) -> [DestinationRecord] {
    try session.rows(
      acrossTenants: """
        SELECT tenant_id, id, name, kind, origin, url, settings, secret_version, previous_until, created_at, updated_at
        FROM destinations
        ORDER BY tenant_id, name
        """
    ).compactMap(DestinationRecord.init)
  }

  private static func stored(_ record: DestinationRecord, _ journal: UUID, _ rows: TenantRows) throws(StoreError)
    -> StoredDestination
  {
    let known = try rows.rows(
      """
      SELECT position, ahead, accepted, set_aside, state, state_since, state_reason, replay, quiet_until
      FROM checkpoints
      WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3
      """, .id(record.id), .id(journal)
    ).first
    let state = known?[4].text.flatMap(DestinationState.Kind.init(rawValue:)) ?? .active
    let since = known?[5].time ?? record.createdAt
    return StoredDestination(
      record: record, state: DestinationState(state, since: since, reason: known?[6].text ?? ""),
      progress: known.flatMap(Progress.init), open: try open(record.id, journal, rows, state: .held, limit: .max),
      replay: known?[7].text.flatMap { Replay($0) })
  }

  package func insert(_ record: DestinationRecord, at checkpoint: Position) async throws(StoreError) {
    let journal = journal
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        INSERT INTO destinations (tenant_id, id, name, kind, origin, url, settings, secret_version, previous_until,
          created_at, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        """, .id(record.id), .text(record.name), .text(record.kind.rawValue), .text(record.origin.rawValue),
        .text(record.url), .text(record.settings), .int(Int64(record.secretVersion)), .optional(record.previousUntil),
        .time(record.createdAt), .time(record.updatedAt))
      try Self.begin(record, journal, checkpoint, rows)
    }
  }

  /// Where a destination starts in this journal, unless it has started.
  package func begin(_ record: DestinationRecord, at checkpoint: Position) async throws(StoreError) {
    let journal = journal
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      try Self.begin(record, journal, checkpoint, rows)
    }
  }

  private static func begin(_ record: DestinationRecord, _ journal: UUID, _ checkpoint: Position, _ rows: TenantRows)
    throws(StoreError)
  {
    try rows.rows(
      """
      INSERT INTO checkpoints (tenant_id, destination_id, journal_id, position, ahead, accepted, set_aside, state,
        state_since, state_reason)
      VALUES (?1, ?2, ?3, ?4, '', 0, 0, 'active', ?5, '')
      ON CONFLICT DO NOTHING
      """, .id(record.id), .id(journal), .int(checkpoint.value), .time(record.createdAt))
  }

  package func update(_ record: DestinationRecord) async throws(StoreError) {
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        UPDATE destinations
        SET name = ?3, kind = ?4, url = ?5, settings = ?6, secret_version = ?7, previous_until = ?8, updated_at = ?9
        WHERE tenant_id = ?1 AND id = ?2
        """, .id(record.id), .text(record.name), .text(record.kind.rawValue), .text(record.url),
        .text(record.settings), .int(Int64(record.secretVersion)), .optional(record.previousUntil),
        .time(record.updatedAt))
    }
  }

  package func delete(_ record: DestinationRecord) async throws(StoreError) {
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows("DELETE FROM delivery_log WHERE tenant_id = ?1 AND destination_id = ?2", .id(record.id))
      try rows.rows("DELETE FROM deliveries WHERE tenant_id = ?1 AND destination_id = ?2", .id(record.id))
      try rows.rows("DELETE FROM checkpoints WHERE tenant_id = ?1 AND destination_id = ?2", .id(record.id))
      try rows.rows("DELETE FROM destinations WHERE tenant_id = ?1 AND id = ?2", .id(record.id))
    }
  }

  package func set(_ state: DestinationState, of record: DestinationRecord) async throws(StoreError) {
    let journal = journal
    try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        UPDATE checkpoints
        SET state = ?4, state_since = ?5, state_reason = ?6
        WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3
        """, .id(record.id), .id(journal), .text(state.kind.rawValue), .time(state.since), .text(state.reason))
    }
  }
}

extension Progress {
  init?(_ row: [SQLValue]) {
    guard let position = row[0].int, let ahead = row[1].text, let accepted = row[2].int, let setAside = row[3].int
    else { return nil }
    self.init(
      checkpoint: Position(position), ahead: ahead.split(separator: ",").compactMap { Int64($0) }.map(Position.init),
      accepted: Int(accepted), setAside: Int(setAside), quietUntil: row[8].time)
  }
}
