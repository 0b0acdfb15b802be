// The state in a PostgreSQL that several agents share. The connection is made when it is needed and made again when it
// was lost; a transaction that broke before its COMMIT was sent is run once more, which is safe because none of it stands.
//
//   no connection ─(asked, and the pause is over)─▶ connected ─(lost, too slow)─▶ no connection

internal import Basics
internal import Postgres

final class PostgresEngine: StoreEngine {
  private let target: Secret<String>
  private var connection: PostgresConnection?
  private var nextTry = Moment(nanoseconds: 0)
  private var lastFailure = ""

  /// After a failed connect, questions are refused at once for this long.
  private static let pause: Duration = .milliseconds(500)
  private static let connectWithin: Duration = .seconds(3)
  /// Longer than the server's own limit below, so that a slow query costs the query and not the connection.
  private static let answerWithin: Duration = .seconds(8)
  private static let settings: StaticString =
    "SET statement_timeout = 5000; SET lock_timeout = 3000; SET idle_in_transaction_session_timeout = 10000"

  init(_ target: Secret<String>) { self.target = target }

  private func connected() throws(StoreError) -> (PostgresConnection, isFresh: Bool) {
    if let connection { return (connection, false) }
    guard Moment.now() >= nextTry else { throw .unavailable(lastFailure) }
    do throws(PostgresError) {
      let made = try PostgresConnection(target, connectWithin: Self.connectWithin, answerWithin: Self.answerWithin)
      try made.script(unsafe: "\(Self.settings)")
      connection = made
      return (made, true)
    } catch {
      (lastFailure, nextTry) = (error.description, Moment.now() + Self.pause)
      throw Self.error(error)
    }
  }

  func transaction<T>(_ body: (any StoreConnection) throws(StoreError) -> T) throws(StoreError) -> T {
    var attempt = 1
    while true {
      let (connection, isFresh) = try connected()
      let session = PostgresSession(connection)
      do throws(StoreError) {
        _ = try session.rows("BEGIN", [])
        let result = try body(session)
        session.isCommitting = true
        _ = try session.rows("COMMIT", [])
        return result
      } catch {
        if session.isBroken { self.connection = nil } else { _ = try? session.rows("ROLLBACK", []) }
        if session.isCommitting, session.isBroken { throw .unknown(error.description) }
        let mayRetry = session.isBroken ? !isFresh : session.hadConflict
        guard mayRetry, attempt < 3 else { throw error }
        attempt += 1
      }
    }
  }

  /// One agent at a time: the others wait for the lock and find the work done.
  func migrate(_ steps: [String], upTo version: Int) throws(StoreError) {
    while try migrateOneStep(steps, upTo: version) {}
  }

  private func migrateOneStep(_ steps: [String], upTo version: Int) throws(StoreError) -> Bool {
    let (connection, _) = try connected()
    do throws(PostgresError) {
      try connection.script(
        unsafe: """
          BEGIN;
          SELECT pg_advisory_xact_lock(7382001);
          CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)
          """)
      let current = Int(try connection.rows("SELECT max(version) FROM schema_version", []).rows.first?.first?.int ?? 0)
      let isDue = current < min(version, steps.count)
      if isDue {
        try connection.script(unsafe: PostgresDialect.definition(steps[current]))
        _ = try connection.rows("INSERT INTO schema_version (version) VALUES ($1)", [.int(Int64(current) + 1)])
      }
      try connection.script(unsafe: "COMMIT")
      return isDue
    } catch {
      self.connection = nil
      throw Self.error(error)
    }
  }

  static func error(_ error: PostgresError) -> StoreError {
    switch error {
    case .unavailable, .tooSlow, .conflict: .unavailable(error.description)
    case .constraint: .constraint(error.description)
    case .other: .failed(error.description)
    }
  }
}

/// One transaction's view of the connection, and how it went.
private final class PostgresSession: StoreConnection {
  private let connection: PostgresConnection
  private(set) var changes = 0
  private(set) var isBroken = false
  private(set) var hadConflict = false
  var isCommitting = false

  init(_ connection: PostgresConnection) { self.connection = connection }

  func rows(_ sql: StaticString, _ values: [SQLValue]) throws(StoreError) -> [[SQLValue]] {
    do throws(PostgresError) {
      let answer = try connection.rows(PostgresDialect.statement(sql), values)
      changes = answer.changes
      return answer.rows
    } catch {
      switch error {
      case .unavailable: isBroken = true
      // Our own deadline closed the line; the server's ended the query only, and says so with its SQLSTATE.
      case .tooSlow(let text): isBroken = !text.contains("statement timeout")
      case .conflict: hadConflict = true
      case .constraint, .other: break
      }
      throw PostgresEngine.error(error)
    }
  }
}

/// What PostgreSQL spells differently.
enum PostgresDialect {
  /// `?1` becomes `$1`.
  static func statement(_ sql: StaticString) -> String { "\(sql)".replacing("?", with: "$") }

  /// A migration's types and literals.
  static func definition(_ sql: String) -> String {
    var sql = sql
    for (ours, theirs) in [
      (" STRICT, WITHOUT ROWID", ""), (" STRICT", ""), (" BLOB", " BYTEA"), (" INTEGER", " BIGINT"),
      (" REAL", " DOUBLE PRECISION"), ("x'", "'\\x"),
    ] {
      sql = sql.replacing(ours, with: theirs)
    }
    return sql
  }
}
