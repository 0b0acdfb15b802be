// What is asked of the journal's file.

internal import Basics
package import CallModel
package import SQLite

extension JournalFile {
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
}
