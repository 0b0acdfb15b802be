// The journal's one SQLite file, used from the journal's thread alone.

package import Basics
package import CallModel
internal import JSON
package import SQLite

package struct Loss: Sendable {
  package let at: Timestamp
  package let reason: String
  package let count: Int
  package let detail: String
  /// The events, where they had got as far as having an id.
  package let events: [UUID]
}

/// Somebody has not had these entries yet.
package struct RetentionClaim: Sendable {
  package let name: String
  package let tenant: TenantID
  /// The first entry that is not settled.
  package let from: Position
  package let wants: @Sendable (_ type: String) -> Bool

  package init(name: String, tenant: TenantID, from: Position, wants: @escaping @Sendable (String) -> Bool) {
    (self.name, self.tenant, self.from, self.wants) = (name, tenant, from, wants)
  }
}

package final class JournalFile: @unchecked Sendable {
  private let database: Database
  /// Where the row of each call without an end is.
  private var openCalls: [UUID: OpenCall] = [:]

  /// What `openCalls` held before each change of the present transaction.
  private var undo: [(UUID, OpenCall?)] = []

  private struct OpenCall {
    let tenant: UUID
    let started: Int64
  }

  /// Which journal this is: positions mean nothing in another.
  package let id: UUID
  package private(set) var head = Position.start
  package private(set) var oldest = Position.start

  package init(path: String) throws(SQLiteError) {
    database = try Database(path: path)
    // The log is brought into the file by the checkpointer, beside the appends; by an append itself only where nobody
    // else does it, for it holds that one up by some milliseconds (32 MB at 8000 pages).
    try database.run(unsafe: "PRAGMA wal_autocheckpoint = 8000")
    if try database.rows("SELECT name FROM sqlite_schema WHERE name = 'entries'").isEmpty {
      try database.run(unsafe: "PRAGMA auto_vacuum = INCREMENTAL")
      try database.run(unsafe: "VACUUM")
    }
    try database.migrate(Migrations.steps)
    id = try database.rows("SELECT id FROM identity").first?[0].uuid ?? UUID(high: 0, low: 0)
    try readBounds()
    for row in try database.rows("SELECT tenant, started, call_id FROM calls WHERE position IS NULL") {
      guard let tenant = row[0].uuid, let started = row[1].int, let id = row[2].uuid else { continue }
      openCalls[id] = OpenCall(tenant: tenant, started: started)
    }
  }

  private func readBounds() throws(SQLiteError) {
    let row = try database.rows("SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM entries")[0]
    guard case .int(let first) = row[0], case .int(let last) = row[1] else { return }
    (oldest, head) = (Position(first), max(head, Position(last)))
  }

  // MARK: Append

  /// Writes all or none, and gives each entry its position; those whose id is known already are left out.
  package func append(_ entries: [JournalEntry]) throws(SQLiteError) -> [JournalEntry] {
    let headBefore = head
    undo.removeAll(keepingCapacity: true)
    do {
      return try database.transaction { () throws(SQLiteError) in
        var kept: [JournalEntry] = []
        kept.reserveCapacity(entries.count)
        let now = Timestamp.now()
        for entry in entries { if let entry = try insert(entry, at: now) { kept.append(entry) } }
        return kept
      }
    } catch {
      head = headBefore
      for (id, row) in undo.reversed() { openCalls[id] = row }
      throw error
    }
  }

  private func insert(_ entry: JournalEntry, at now: Timestamp) throws(SQLiteError) -> JournalEntry? {
    let placed = entry.placed(at: Position(head.value + 1), now)
    let statement = try database.statement(
      """
      INSERT INTO entries (position, id, occurred, kept, tenant, type, source, call_id, call, detail)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (id) DO NOTHING
      """)
    statement.bind(placed.position.value, at: 1)
    statement.bind(placed.id.uuid.bytes, at: 2)
    statement.bind(placed.occurredAt.microseconds, at: 3)
    statement.bind(now.microseconds, at: 4)
    statement.bind(placed.tenant.uuid.bytes, at: 5)
    statement.bind(placed.type, at: 6)
    statement.bind(placed.source, at: 7)
    if let id = placed.callID { statement.bind(id.uuid.bytes, at: 8) } else { statement.bindNull(at: 8) }
    statement.bind(placed.detail, at: 10)
    defer { statement.reset() }
    if let call = placed.call {
      _ = try statement.withBytes(call, at: 9) { () throws(SQLiteError) in try statement.step() }
    } else {
      statement.bindNull(at: 9)
      _ = try statement.step()
    }
    guard database.changes > 0 else { return nil }
    head = placed.position
    if oldest == .start { oldest = placed.position }
    try track(placed, entry.model)
    return placed
  }

  /// Gives a call its row with its first event, and completes the row with its last.
  private func track(_ entry: JournalEntry, _ call: Call?) throws(SQLiteError) {
    guard let id = entry.callID?.uuid else { return }
    let known = openCalls[id]
    // What is learnt after the end completes the row anew.
    let isEnd = entry.type == CallEvent.Kind.ended.type || known == nil && call?.isEnded == true
    let row = known ?? OpenCall(tenant: entry.tenant.uuid, started: (call?.startedAt ?? entry.occurredAt).microseconds)
    if known == nil || isEnd { undo.append((id, known)) }
    if isEnd {
      openCalls[id] = nil
      return try end(row, entry, call)
    }
    guard known == nil else { return }
    openCalls[id] = row
    try database.rows(
      "INSERT OR IGNORE INTO calls (tenant, started, call_id) VALUES (?, ?, ?)", .id(row.tenant), .int(row.started),
      .id(id))
  }

  private func end(_ row: OpenCall, _ entry: JournalEntry, _ call: Call?) throws(SQLiteError) {
    guard let id = entry.callID?.uuid else { return }
    let numbers =
      [call?.from?.raw, call?.to?.raw, call?.from?.e164, call?.to?.e164].compactMap(\.self)
      + (call?.legs.map(\.party.id) ?? [])
    try database.rows(
      """
      INSERT INTO calls (tenant, started, call_id, position, direction, disposition, queue, numbers)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE
      SET position = excluded.position, direction = excluded.direction, disposition = excluded.disposition,
        queue = excluded.queue, numbers = excluded.numbers
      """, .id(row.tenant), .int(row.started), .id(id), .int(entry.position.value),
      .optional(call?.direction.rawValue), .optional(call?.disposition?.rawValue), .optional(call?.queue),
      .text(" " + numbers.joined(separator: " ") + " "))
  }

  // MARK: Read

  /// Entries behind `after`, oldest first.
  package func entries(after: Position, limit: Int) throws(SQLiteError) -> [JournalEntry] {
    try read(
      try database.statement(
        """
        SELECT position, id, type, source, tenant, occurred, call_id, call, detail, kept
        FROM entries
        WHERE position > ?
        ORDER BY position
        LIMIT ?
        """), .int(after.value), .int(Int64(limit)))
  }

  /// Those of the positions that are still there, oldest first.
  package func entries(at positions: [Position]) throws(SQLiteError) -> [JournalEntry] {
    var found: [JournalEntry] = []
    for position in positions.sorted() {
      found += try read(
        try database.statement(
          """
          SELECT position, id, type, source, tenant, occurred, call_id, call, detail, kept
          FROM entries
          WHERE position = ?
          """), .int(position.value))
    }
    return found
  }

  /// Where events of these ids stand, as far as they are there.
  package func positions(of events: [EventID]) throws(SQLiteError) -> [Position] {
    var found: [Position] = []
    for event in events {
      let row = try database.rows("SELECT position FROM entries WHERE id = ?", .id(event.uuid)).first
      if let position = row?[0].int { found.append(Position(position)) }
    }
    return found
  }

  /// The entries of one call, oldest first. Costs a look at every event of the calls that began in its millisecond.
  package func entries(of call: CallID, limit: Int = 10_000) throws(SQLiteError) -> [JournalEntry] {
    try read(
      try database.statement(
        """
        SELECT position, id, type, source, tenant, occurred, call_id, call, detail, kept
        FROM entries
        WHERE id BETWEEN ? AND ?
          AND call_id = ?
        ORDER BY position
        LIMIT ?
        """), .blob(call.uuid.first.bytes), .blob(call.uuid.last.bytes), .blob(call.uuid.bytes), .int(Int64(limit)))
  }

  private func read(_ statement: Statement, _ values: SQLValue...) throws(SQLiteError) -> [JournalEntry] {
    defer { statement.reset() }
    statement.bind(values)
    var found: [JournalEntry] = []
    while try statement.step() {
      guard let id = UUID(bytes: statement.blob(1)), let tenant = UUID(bytes: statement.blob(4)) else { continue }
      let isOfCall = !statement.isNull(6)
      found.append(
        JournalEntry(
          position: Position(statement.int(0)), id: EventID(id), type: statement.text(2), source: statement.text(3),
          tenant: TenantID(tenant), occurredAt: Timestamp(microseconds: statement.int(5)),
          callID: isOfCall ? UUID(bytes: statement.blob(6)).map(CallID.init) : nil,
          call: isOfCall ? statement.blob(7) : nil, detail: statement.blob(8),
          storedAt: Timestamp(microseconds: statement.int(9))))
    }
    return found
  }

  /// The calls without an end: the last entry of each, and how many events were told of it.
  package func openCallsNow() throws(SQLiteError) -> [(last: JournalEntry, told: Int)] {
    var found: [(JournalEntry, Int)] = []
    for id in openCalls.keys.sorted() {
      let entries = try entries(of: CallID(id))
      if let last = entries.last { found.append((last, entries.count)) }
    }
    return found
  }

  package func history(_ query: HistoryQuery) throws(SQLiteError) -> [[UInt8]] {
    let rows = try database.rows(
      """
      SELECT e.call
      FROM calls c
      JOIN entries e ON e.position = c.position
      WHERE c.tenant = ?1
        AND (?2 IS NULL OR started >= ?2)
        AND (?3 IS NULL OR started < ?3)
        AND (?4 IS NULL OR instr(numbers, ' ' || ?4 || ' ') > 0)
        AND (?5 IS NULL OR queue = ?5)
        AND (?6 IS NULL OR direction = ?6)
        AND (?7 IS NULL OR disposition = ?7)
        AND (?8 IS NULL OR (c.started, c.call_id) < (?8, ?9))
      ORDER BY c.started DESC, c.call_id DESC
      LIMIT ?10
      """, .blob(query.tenant.uuid.bytes), .optional(query.from?.microseconds), .optional(query.until?.microseconds),
      .optional(query.number), .optional(query.queue), .optional(query.direction), .optional(query.disposition),
      .optional(query.before?.started.microseconds), query.before.map { .blob($0.call.uuid.bytes) } ?? .null,
      .int(Int64(query.limit)))
    return rows.compactMap { row in if case .blob(let bytes) = row[0] { bytes } else { nil } }
  }

  /// Copies the rest of the log into the file, so that the next append writes at the log's beginning.
  package func finishCheckpoint() { _ = try? database.rows("PRAGMA wal_checkpoint(PASSIVE)") }

  // MARK: Retention and losses

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
      let events = stride(from: 0, to: ids.count, by: 16).compactMap { UUID(bytes: ids[$0..<min($0 + 16, ids.count)]) }
      return Loss(
        at: Timestamp(microseconds: at), reason: reason, count: Int(count), detail: detail, events: events)
    }
  }
}
