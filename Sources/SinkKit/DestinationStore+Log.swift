// Every attempt, in pages: one row a step and not one an attempt.

internal import Basics
package import CallModel
internal import JSON
package import Store

extension DestinationStore {
  /// A page for each step, so that a busy destination costs one row a commit and not one an attempt.
  static func log(_ step: Step, _ journal: UUID, _ rows: TenantRows) throws(StoreError) {
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
