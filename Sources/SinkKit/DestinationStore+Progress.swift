// How far destinations have come, kept for all of them in one transaction.

internal import Basics
internal import CallModel
package import Store

extension DestinationStore {
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
      SET position = ?4, ahead = ?5, accepted = ?6, set_aside = ?7, replay = ?8, quiet_until = ?9
      WHERE tenant_id = ?1 AND destination_id = ?2 AND journal_id = ?3
      """, .id(id), .id(journal), .int(settlement.progress.checkpoint.value),
      .text(settlement.progress.ahead.map(\.description).joined(separator: ",")),
      .int(Int64(settlement.progress.accepted)), .int(Int64(settlement.progress.setAside)),
      .optional(step.replay?.text), .optional(settlement.progress.quietUntil))
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
}
