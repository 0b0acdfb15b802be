// What is removed from the journal, who had a claim to it, and what was ever lost.

package import Basics
package import CallModel
package import SQLite

extension JournalFile {
  /// Removes up to `slice` of the oldest entries that are older than `before`, or any while the file is larger than
  /// `bytes`. The newest entry always stays, so that no position is ever used twice. Age spares what somebody still has a
  /// claim to; size does not, and the loss ledger then says who lost which events.
  /// - Returns: how many went.
  package func prune(before: Timestamp, bytes: Int, claims: [RetentionClaim] = [], slice: Int = 500)
    throws(SQLiteError) -> Int
  {
    let isTooLarge = try size() > bytes
    let kept = claims.map { $0.from.value }.min() ?? .max
    let bound = isTooLarge ? head.value : min(try due(before), kept)
    let gone = try database.transaction { () throws(SQLiteError) in
      if isTooLarge, kept < bound { try noteLosses(claims, below: bound, slice) }
      try database.rows(
        """
        DELETE FROM entries
        WHERE position IN (
          SELECT position FROM entries WHERE position < ?1 ORDER BY position LIMIT ?2)
        """, .int(bound), .int(Int64(slice)))
      let gone = database.changes
      try forgetCalls()
      return gone
    }
    guard gone > 0 else { return 0 }
    try database.run(unsafe: "PRAGMA incremental_vacuum(1000)")
    try readBounds()
    return gone
  }

  /// What the next slice takes from those who have not had it.
  private func noteLosses(_ claims: [RetentionClaim], below bound: Int64, _ slice: Int) throws(SQLiteError) {
    let rows = try database.rows(
      "SELECT position, id, type, tenant FROM entries WHERE position < ?1 ORDER BY position LIMIT ?2", .int(bound),
      .int(Int64(slice)))
    for claim in claims {
      var (ids, first, last): ([UInt8], Int64, Int64) = ([], 0, 0)
      for row in rows {
        guard let position = row[0].int, let id = row[1].blob, let type = row[2].text, row[3].uuid == claim.tenant.uuid,
          position >= claim.from.value, claim.wants(type)
        else { continue }
        (ids, first, last) = (ids + id, first == 0 ? position : first, position)
      }
      guard !ids.isEmpty else { continue }
      try database.rows(
        """
        INSERT INTO losses (at, reason, count, detail, first_position, last_position, event_ids)
        VALUES (?, 'retention', ?, ?, ?, ?, ?)
        """, .time(.now()), .int(Int64(ids.count / 16)), .text("not yet delivered to \(claim.name)"), .int(first),
        .int(last), .blob(ids))
    }
  }

  /// Removes the rows of calls whose last entry is gone: they began before the oldest entry that is left.
  private func forgetCalls() throws(SQLiteError) {
    let oldest = try database.rows("SELECT position, occurred FROM entries ORDER BY position LIMIT 1").first
    guard let position = oldest?[0].int, let occurred = oldest?[1].int else { return }
    // Each tenant by one step down the index, not by a look at every call.
    let tenants = try database.rows(
      """
      WITH RECURSIVE step (tenant) AS (
        SELECT min(tenant) FROM calls
        UNION ALL
        SELECT (SELECT min(tenant) FROM calls WHERE tenant > step.tenant) FROM step WHERE tenant IS NOT NULL)
      SELECT tenant FROM step WHERE tenant IS NOT NULL
      """)
    for row in tenants {
      try database.rows(
        "DELETE FROM calls WHERE tenant = ? AND started <= ? AND position < ?", row[0], .int(occurred + 1_000_000),
        .int(position))
    }
  }

  /// Entries that `prune` with these limits would remove now, about: what is over the size is taken by the average.
  package func prunable(before: Timestamp, bytes: Int) throws(SQLiteError) -> Int {
    let old = try due(before)
    let count = max(1, Int(head.value - oldest.value + 1))
    let excess = max(0, try size() - bytes)
    let tooOld = Int(max(0, old - oldest.value))
    return max(tooOld, excess == 0 ? 0 : count * excess / max(1, try size()))
  }

  /// The calls of a tenant that began in this hour: how many, how many were answered, and how long they rang, each in
  /// bounds of 5, 15, 30 and 60 s. Cost: a look at each of them.
  package func hour(of tenant: TenantID, from: Timestamp) throws(SQLiteError) -> (
    total: Int, answered: Int, waits: [Int]
  ) {
    let row = try database.rows(
      """
      SELECT count(*), total(disposition IN ('answered', 'voicemail')), total(ring < 5), total(ring >= 5 AND ring < 15),
        total(ring >= 15 AND ring < 30), total(ring >= 30 AND ring < 60), total(ring >= 60)
      FROM (
        SELECT c.disposition, coalesce(json_extract(CAST(e.call AS TEXT), '$.ring_seconds'), 0) AS ring
        FROM calls c
        JOIN entries e ON e.position = c.position
        WHERE c.tenant = ?1 AND c.started >= ?2 AND c.started < ?3
        LIMIT 100000)
      """, .id(tenant.uuid), .time(from), .time(from.adding(seconds: 3600)))[0]
    let figures = row.map { value in if case .double(let number) = value { Int(number) } else { Int(value.int ?? 0) } }
    return (figures[0], figures[1], Array(figures[2...]))
  }

  /// The first position that is not older than `before`; what stands below it is. Found by steps down the primary key,
  /// since entries are kept in the order of their positions.
  package func due(_ before: Timestamp) throws(SQLiteError) -> Int64 {
    var (low, high) = (oldest.value, head.value)
    while low < high {
      let middle = low + (high - low) / 2
      let row = try database.rows(
        "SELECT position, kept FROM entries WHERE position >= ? ORDER BY position LIMIT 1", .int(middle)
      ).first
      guard let position = row?[0].int, let kept = row?[1].int, position <= high else {
        high = middle
        continue
      }
      if kept < before.microseconds { low = position + 1 } else { high = middle }
    }
    return min(low, head.value)
  }

  package var openCallCount: Int { openCalls.count }

  /// Bytes of the file that hold something.
  package func size() throws(SQLiteError) -> Int {
    let row = try database.rows(
      "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    )[0]
    if case .int(let size) = row[0] { return Int(size) }
    return 0
  }

  /// - Parameter ids: the events, sixteen bytes each, where they are known.
  package func record(loss reason: String, count: Int, detail: String, ids: [UInt8] = []) throws(SQLiteError) {
    try database.rows(
      "INSERT INTO losses (at, reason, count, detail, event_ids) VALUES (?, ?, ?, ?, ?)", .time(.now()),
      .text(reason), .int(Int64(count)), .text(detail), .blob(ids))
  }

  package func losses(limit: Int = 100) throws(SQLiteError) -> [Loss] {
    try database.rows(
      "SELECT at, reason, count, detail, event_ids FROM losses ORDER BY id DESC LIMIT ?", .int(Int64(limit))
    )
    .compactMap { row in
      guard case .int(let at) = row[0], case .text(let reason) = row[1], case .int(let count) = row[2],
        case .text(let detail) = row[3]
      else { return nil }
      let ids = row[4].blob ?? []
      let events = stride(from: 0, to: ids.count, by: 16).compactMap {
        UUID(bytes: Array(ids[$0..<min($0 + 16, ids.count)]))
      }
      return Loss(
        at: Timestamp(microseconds: at), reason: reason, count: Int(count), detail: detail, events: events)
    }
  }
}
