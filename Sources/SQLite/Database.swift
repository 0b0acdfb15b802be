// SQLite with its sharp edges covered: errors are values, values are bound, statements are kept.

package import Basics
internal import CSQLite
internal import Glibc

/// What the caller can do next, for each way SQLite fails.
package enum SQLiteError: Error, Equatable, CustomStringConvertible {
  /// The disk is full or does not write; the same call may work later.
  case cannotWrite(String)
  case corrupt(String)
  /// Another process holds the file.
  case busy(String)
  case constraint(String)
  case other(code: Int32, String)

  package var description: String {
    switch self {
    case .cannotWrite(let text): "the database cannot write: \(text)"
    case .corrupt(let text): "the database is damaged: \(text)"
    case .busy(let text): "the database is in use: \(text)"
    case .constraint(let text): "a rule of the database was broken: \(text)"
    case .other(let code, let text): "database error \(code): \(text)"
    }
  }
}

/// One connection. Used from one thread at a time (`SQLITE_OPEN_NOMUTEX`); its owner is a `Worker`.
package final class Database: @unchecked Sendable {
  private let handle: OpaquePointer
  /// By the address of the literal, which is the same for the same place in the program.
  private var statements: [UnsafePointer<UInt8>: Statement] = [:]

  /// Opens or creates the file in WAL mode with `synchronous=FULL`: a commit that returned is on disk.
  package init(path: String) throws(SQLiteError) {
    // Made for its owner alone, and SQLite makes the files beside it alike. Only when it is new: closing a descriptor of
    // a file that is in use would let go of SQLite's locks (fcntl(2)).
    let made = Glibc.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
    if made >= 0 { close(made) }
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
    let code = sqlite3_open_v2(path, &opened, flags, nil)
    guard code == SQLITE_OK, let opened else {
      let text = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close(opened)
      throw Self.error(code, "\(path): \(text)")
    }
    handle = opened
    sqlite3_extended_result_codes(handle, 1)
    sqlite3_busy_timeout(handle, 2000)
    for pragma in ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-1024", "temp_store=MEMORY"] {
      try run(unsafe: "PRAGMA \(pragma)")
    }
  }

  /// Opens a file that is there, for a look: nothing is made, and nothing is changed.
  package init(lookingAt path: String) throws(SQLiteError) {
    var opened: OpaquePointer?
    let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let opened else {
      sqlite3_close(opened)
      throw Self.error(code, "\(path): \(String(cString: sqlite3_errstr(code)))")
    }
    handle = opened
    sqlite3_busy_timeout(handle, 2000)
  }

  deinit {
    statements = [:]
    sqlite3_close_v2(handle)
  }

  /// A kept statement for this text; compiled once.
  package func statement(_ sql: StaticString) throws(SQLiteError) -> Statement {
    if let known = statements[sql.utf8Start] {
      known.reset()
      return known
    }
    let made = try Statement(handle, "\(sql)")
    statements[sql.utf8Start] = made
    return made
  }

  /// Runs the statement with these values and gives its rows.
  @discardableResult
  package func rows(_ sql: StaticString, _ values: SQLValue...) throws(SQLiteError) -> [[SQLValue]] {
    try rows(sql, bound: values)
  }

  package func rows(_ sql: StaticString, bound values: [SQLValue]) throws(SQLiteError) -> [[SQLValue]] {
    let statement = try statement(sql)
    defer { statement.reset() }
    statement.bind(values)
    var rows: [[SQLValue]] = []
    while try statement.step() { rows.append(statement.row) }
    return rows
  }

  /// The unsafe door: text that is built, never from what a peer sent. Migrations and pragmas only.
  package func run(unsafe sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw Self.error(code, String(cString: sqlite3_errmsg(handle))) }
  }

  /// Commits what `body` did, or nothing of it.
  package func transaction<T>(_ body: () throws(SQLiteError) -> T) throws(SQLiteError) -> T {
    try rows("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try rows("COMMIT")
      return result
    } catch {
      _ = try? rows("ROLLBACK")
      throw error
    }
  }

  package var changes: Int { Int(sqlite3_changes(handle)) }

  /// Brings the schema to the newest version, one forward step at a time, each in a transaction of its own.
  package func migrate(_ steps: [String], upTo version: Int? = nil) throws(SQLiteError) {
    let target = min(version ?? steps.count, steps.count)
    while let current = try self.version(), current < target {
      try transaction { () throws(SQLiteError) in
        try run(unsafe: steps[current])
        try run(unsafe: "PRAGMA user_version = \(current + 1)")
      }
    }
  }

  private func version() throws(SQLiteError) -> Int? {
    guard case .int(let version)? = try rows("PRAGMA user_version").first?.first else { return nil }
    return Int(version)
  }

  static func error(_ code: Int32, _ text: String) -> SQLiteError {
    switch code & 0xff {
    case SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_NOMEM: .cannotWrite(text)
    case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt(text)
    case SQLITE_BUSY, SQLITE_LOCKED: .busy(text)
    case SQLITE_CONSTRAINT: .constraint(text)
    default: .other(code: code, text)
    }
  }
}

/// A compiled statement; bind, step, read, reset.
package final class Statement {
  private let handle: OpaquePointer
  private let database: OpaquePointer
  private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

  fileprivate init(_ database: OpaquePointer, _ sql: String) throws(SQLiteError) {
    var compiled: OpaquePointer?
    let code = sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard code == SQLITE_OK, let compiled else {
      throw Database.error(code, String(cString: sqlite3_errmsg(database)))
    }
    (handle, self.database) = (compiled, database)
  }

  deinit { sqlite3_finalize(handle) }

  package func reset() { sqlite3_reset(handle) }

  package func bind(_ values: [SQLValue]) {
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      switch value {
      case .null: sqlite3_bind_null(handle, place)
      case .int(let number): sqlite3_bind_int64(handle, place, number)
      case .double(let number): sqlite3_bind_double(handle, place, number)
      case .text(let text): sqlite3_bind_text(handle, place, text, Int32(text.utf8.count), Self.copied)
      case .blob(let bytes): bind(bytes, at: place)
      }
    }
  }

  package func bind(_ number: Int64, at place: Int32) { sqlite3_bind_int64(handle, place, number) }

  package func bind(_ bytes: [UInt8], at place: Int32) {
    sqlite3_bind_blob(handle, place, bytes.isEmpty ? [0] : bytes, Int32(bytes.count), Self.copied)
  }

  package func bind(_ text: String, at place: Int32) {
    sqlite3_bind_text(handle, place, text, Int32(text.utf8.count), Self.copied)
  }

  package func bindNull(at place: Int32) { sqlite3_bind_null(handle, place) }

  /// Binds without a copy for as long as `body` runs, which must step the statement.
  package func withBytes<T>(
    _ bytes: [UInt8], at place: Int32, _ body: () throws(SQLiteError) -> T
  ) throws(SQLiteError) -> T {
    let result: Result<T, SQLiteError> = bytes.withUnsafeBytes { raw in
      sqlite3_bind_blob(handle, place, raw.baseAddress, Int32(raw.count), nil)
      return Result { () throws(SQLiteError) in try body() }
    }
    return try result.get()
  }

  /// True while there is a row to read.
  package func step() throws(SQLiteError) -> Bool {
    let code = sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    guard code == SQLITE_DONE else {
      let text = String(cString: sqlite3_errmsg(database))
      sqlite3_reset(handle)
      throw Database.error(code, text)
    }
    return false
  }

  package func int(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

  package func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

  package func text(_ column: Int32) -> String {
    sqlite3_column_text(handle, column).map { String(cString: $0) } ?? ""
  }

  package func blob(_ column: Int32) -> [UInt8] {
    let start = sqlite3_column_blob(handle, column)
    return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  /// Nil where the column holds none.
  package func uuid(_ column: Int32) -> UUID? {
    let start = sqlite3_column_blob(handle, column)
    return UUID(bytes: UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  package var row: [SQLValue] {
    (0..<sqlite3_column_count(handle)).map { column in
      switch sqlite3_column_type(handle, column) {
      case SQLITE_INTEGER: .int(int(column))
      case SQLITE_FLOAT: .double(sqlite3_column_double(handle, column))
      case SQLITE_TEXT: .text(text(column))
      case SQLITE_BLOB: .blob(blob(column))
      default: .null
      }
    }
  }
}
