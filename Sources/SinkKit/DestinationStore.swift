// Destinations and how far each has come, in the state store. Progress is of one journal: agents that share a state
// share its destinations, and each delivers what it heard itself.

package import Basics
package import CallModel
internal import JSON
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

  // MARK: Destinations

  package func load() async throws(StoreError) -> [StoredDestination] {
    let journal = journal
    return try await store.run { session throws(StoreError) in
      let rows = try session.rows(
        acrossTenants: """
          SELECT tenant_id, id, name, kind, origin, url, settings, secret_version, previous_until, created_at, updated_at
          FROM destinations
          ORDER BY tenant_id, name
          """)
      var found: [StoredDestination] = []
      for record in rows.compactMap(DestinationRecord.init) {
        found.append(try Self.stored(record, journal, session.of(record.tenant)))
      }
      return found
    }
  }

  private static func stored(_ record: DestinationRecord, _ journal: UUID, _ rows: TenantRows) throws(StoreError)
    -> StoredDestination
  {
    let known = try rows.rows(
      """
      SELECT position, ahead, accepted, set_aside, state, state_since, state_reason, replay
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

  // MARK: Open deliveries

  /// Oldest first.
  package func open(_ record: DestinationRecord, state: OpenDelivery.State, after: Position, limit: Int)
    async throws(StoreError) -> [OpenDelivery]
  {
    let journal = journal
    return try await store.run(of: record.tenant) { rows throws(StoreError) in
      try Self.open(record.id, journal, rows, state: state, after: after, limit: limit)
    }
  }

  private static func open(
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

  /// The records alone, for agents that share them.
  package func records() async throws(StoreError) -> [DestinationRecord] {
    try await store.run { session throws(StoreError) in
      try session.rows(
        acrossTenants: """
          SELECT tenant_id, id, name, kind, origin, url, settings, secret_version, previous_until, created_at, updated_at
          FROM destinations
          ORDER BY tenant_id, name
          """
      ).compactMap(DestinationRecord.init)
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

  // MARK: Progress

  /// One destination's step, as it goes into a transaction with those of the others.
  package struct Step: Sendable {
    package let record: DestinationRecord
    package let settlement: Settlement
    package let replay: Replay?
    /// Numbers the page of the delivery log that this step writes.
    package let page: Int64
    /// Pages up to this number are removed.
    package let forgottenPage: Int64
  }

  package func save(_ steps: [Step]) async throws(StoreError) {
    let journal = journal
    try await store.run { session throws(StoreError) in
      for step in steps { try Self.save(step, journal, session.of(step.record.tenant)) }
    }
  }

  private static func save(_ step: Step, _ journal: UUID, _ rows: TenantRows) throws(StoreError) {
    let (settlement, id) = (step.settlement, step.record.id)
    try rows.rows(
      """
      UPDATE checkpoints
      SET position = ?4, ahead = ?5, accepted = ?6, set_aside = ?7, replay = ?8
      WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3
      """, .id(id), .id(journal), .int(settlement.progress.checkpoint.value),
      .text(settlement.progress.ahead.map(\.description).joined(separator: ",")),
      .int(Int64(settlement.progress.accepted)), .int(Int64(settlement.progress.setAside)),
      .optional(step.replay?.text))
    // The destination was removed while this was under way.
    guard rows.changes > 0 else { return }
    for row in settlement.put { try put(row, id, journal, rows) }
    for position in settlement.dropped {
      try rows.rows(
        "DELETE FROM deliveries WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND position = ?4",
        .id(id), .id(journal), .int(position.value))
    }
    if !settlement.attempts.isEmpty { try log(step, journal, rows) }
  }

  private static func put(_ row: OpenDelivery, _ id: UUID, _ journal: UUID, _ rows: TenantRows) throws(StoreError) {
    try rows.rows(
      """
      INSERT INTO deliveries (tenant_id, destination_id, journal_id, position, event_id, lane, type, state, attempts,
        next_at, reason, since)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
      ON CONFLICT (tenant_id, destination_id, journal_id, position) DO UPDATE
      SET state = excluded.state, attempts = excluded.attempts, next_at = excluded.next_at, reason = excluded.reason
      """, .id(id), .id(journal), .int(row.position.value), .id(row.event.uuid), .id(row.lane), .text(row.type),
      .text(row.state.rawValue), .int(Int64(row.attempts)), .time(row.nextAt), .text(row.reason), .time(row.since))
  }

  // MARK: Delivery log

  /// A page for each step, so that a busy destination costs one row a commit and not one an attempt.
  private static func log(_ step: Step, _ journal: UUID, _ rows: TenantRows) throws(StoreError) {
    let attempts = step.settlement.attempts
    guard let first = attempts.map(\.position).min(), let last = attempts.map(\.position).max() else { return }
    try rows.rows(
      """
      INSERT INTO delivery_log (tenant_id, destination_id, journal_id, page, first_position, last_position, attempts)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
      ON CONFLICT DO NOTHING
      """, .id(step.record.id), .id(journal), .int(step.page), .int(first.value), .int(last.value),
      .blob(Attempt.page(attempts)))
    try rows.rows(
      "DELETE FROM delivery_log WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND page <= ?4",
      .id(step.record.id), .id(journal), .int(step.forgottenPage))
  }

  package func lastPage(of record: DestinationRecord) async throws(StoreError) -> Int64 {
    let journal = journal
    return try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows(
        "SELECT max(page) FROM delivery_log WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3",
        .id(record.id), .id(journal))[0][0].int ?? 0
    }
  }

  /// Pages of the log as JSON arrays, newest first.
  /// - Parameters:
  ///   - before: pages below this number.
  ///   - position: pages that may tell of this entry; nil for any.
  package func log(of record: DestinationRecord, before: Int64, about position: Position?, limit: Int)
    async throws(StoreError) -> [(page: Int64, attempts: [UInt8])]
  {
    let journal = journal
    return try await store.run(of: record.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        SELECT page, attempts
        FROM delivery_log
        WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3 AND page < ?4
          AND first_position <= ?5 AND last_position >= ?6
        ORDER BY page DESC
        LIMIT ?7
        """, .id(record.id), .id(journal), .int(before), .int(position?.value ?? .max), .int(position?.value ?? 0),
        .int(Int64(limit))
      ).compactMap { row in
        guard let page = row[0].int, let attempts = row[1].blob else { return nil }
        return (page, attempts)
      }
    }
  }
}

extension Progress {
  init?(_ row: [SQLValue]) {
    guard let position = row[0].int, let ahead = row[1].text, let accepted = row[2].int, let setAside = row[3].int
    else { return nil }
    self.init(
      checkpoint: Position(position), ahead: ahead.split(separator: ",").compactMap { Int64($0) }.map(Position.init),
      accepted: Int(accepted), setAside: Int(setAside))
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

extension Receipt.Verdict {
  package var name: String {
    switch self {
    case .accepted: "accepted"
    case .refused: "refused"
    case .kept: "kept"
    case .slowDown: "slow_down"
    case .gone: "gone"
    }
  }
}

extension Attempt {
  /// As the API tells them.
  static func page(_ attempts: [Attempt]) -> [UInt8] {
    var json = JSONWriter(capacity: 160 * attempts.count)
    json.array { json in
      for attempt in attempts {
        json.object { json in
          json.field("position", attempt.position.value)
          json.field("event_id", attempt.event.uuid)
          json.field("type", attempt.type)
          json.field("at", attempt.at)
          json.field("milliseconds", attempt.milliseconds)
          json.field("attempt", attempt.number)
          json.field("outcome", attempt.verdict.name)
          json.field("status", attempt.code)
          json.field("reason", attempt.reason)
        }
      }
    }
    return json.bytes
  }
}
