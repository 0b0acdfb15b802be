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
  let database: Database
  /// Where the row of each call without an end is.
  private(set) var openCalls: [UUID: OpenCall] = [:]

  /// What `openCalls` held before each change of the present transaction.
  private var undo: [(UUID, OpenCall?)] = []

  struct OpenCall {
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

  func readBounds() throws(SQLiteError) {
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
      guard let id = statement.uuid(1), let tenant = statement.uuid(4) else { continue }
      let isOfCall = !statement.isNull(6)
      found.append(
        JournalEntry(
          position: Position(statement.int(0)), id: EventID(id), type: statement.text(2), source: statement.text(3),
          tenant: TenantID(tenant), occurredAt: Timestamp(microseconds: statement.int(5)),
          callID: isOfCall ? statement.uuid(6).map(CallID.init) : nil,
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
}
