// The journal's one SQLite file, used from the journal's thread alone.

package import Basics
package import CallModel
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
  /// No entry gets a position up to this.
  private var floor = Int64(0)
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
    let identity = try database.rows("SELECT id, floor FROM identity").first
    id = identity?[0].uuid ?? UUID(high: 0, low: 0)
    floor = identity?[1].int ?? 0
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

  /// Passes over the positions that were given since this copy of the journal was made: more than a PBX fills in years.
  package func skipAhead() throws(SQLiteError) {
    try database.rows("UPDATE identity SET floor = ?", .int(max(head.value, floor) + 1_000_000_000))
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
    let placed = entry.placed(at: Position(max(head.value, floor) + 1), now)
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

  /// Copies the rest of the log into the file, so that the next append writes at the log's beginning.
  package func finishCheckpoint() { _ = try? database.rows("PRAGMA wal_checkpoint(PASSIVE)") }
}
