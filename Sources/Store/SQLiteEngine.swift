// The state in a file beside the journal: the default, and all that a single host needs.

internal import Basics
internal import SQLite

final class SQLiteEngine: StoreEngine, StoreConnection {
  private let database: Database

  init(path: String) throws(StoreError) {
    do throws(SQLiteError) { database = try Database(path: path) } catch { throw Self.error(error) }
  }

  func transaction<T>(_ body: (any StoreConnection) throws(StoreError) -> T) throws(StoreError) -> T {
    _ = try rows("BEGIN IMMEDIATE", [])
    do throws(StoreError) {
      let result = try body(self)
      _ = try rows("COMMIT", [])
      return result
    } catch {
      _ = try? rows("ROLLBACK", [])
      throw error
    }
  }

  func rows(_ sql: StaticString, _ values: [SQLValue]) throws(StoreError) -> [[SQLValue]] {
    do throws(SQLiteError) { return try database.rows(sql, bound: values) } catch { throw Self.error(error) }
  }

  var changes: Int { database.changes }

  func migrate(_ steps: [String], upTo version: Int) throws(StoreError) {
    do throws(SQLiteError) { try database.migrate(steps, upTo: version) } catch { throw Self.error(error) }
  }

  private static func error(_ error: SQLiteError) -> StoreError {
    switch error {
    case .cannotWrite, .busy: .unavailable(error.description)
    case .constraint: .constraint(error.description)
    case .corrupt, .other: .failed(error.description)
    }
  }
}
