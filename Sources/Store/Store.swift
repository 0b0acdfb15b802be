// The state that is not events, on a thread of its own: tenants, users, keys, settings. SQLite beside the journal, or a
// PostgreSQL that several agents share; the statements are the same. Whoever asks names the tenant, here and not in a
// handler: what reaches across tenants goes through a door of that name.

package import Basics
package import Loop

/// Where the state lives.
package enum StorePlace: Sendable {
  case file(String)
  /// A libpq connection string with its password.
  case postgres(Secret<String>)
}

@LoopActor
package final class Store {
  /// Transactions that may wait for the thread; one more is refused.
  package nonisolated static let queueLimit = 256

  /// Told why the store cannot be used, and nil when it can again.
  package var onFault: @LoopActor (String?) -> Void = { _ in }

  private let worker = Worker(name: "state")
  private let engine: EngineBox
  private var waiting = 0
  private var isFaulty = false

  private init(_ engine: any StoreEngine) { self.engine = EngineBox(engine) }

  /// Opens or creates the state and brings its schema to the newest version.
  /// - Parameter version: an older version to stop at, for tests of migrations.
  package static func open(_ place: StorePlace, upTo version: Int = .max) async throws(StoreError) -> Store {
    let store = try connect(place)
    try await store.migrate(upTo: version)
    return store
  }

  /// As `open`, without waiting: a database that is away is migrated when it comes.
  package static func connect(_ place: StorePlace) throws(StoreError) -> Store {
    switch place {
    case .file(let path): Store(try SQLiteEngine(path: path))
    case .postgres(let target): Store(PostgresEngine(target))
    }
  }

  package func migrate(upTo version: Int = .max) async throws(StoreError) {
    try await onThread { engine throws(StoreError) in try engine.migrate(StoreMigrations.steps, upTo: version) }
  }

  /// Runs `body` as one transaction: all of it is kept when this returns, and nothing when it throws. `body` may run
  /// twice, when the database was lost before anything stood.
  @discardableResult
  package func run<T: Sendable>(_ body: @escaping @Sendable (StoreSession) throws(StoreError) -> T)
    async throws(StoreError) -> T
  {
    try await onThread { engine throws(StoreError) in
      try engine.transaction { connection throws(StoreError) in try body(StoreSession(connection)) }
    }
  }

  /// As `run`, with one tenant's rows and no others.
  @discardableResult
  package func run<T: Sendable>(
    of tenant: UUID, _ body: @escaping @Sendable (TenantRows) throws(StoreError) -> T
  ) async throws(StoreError) -> T {
    try await run { session throws(StoreError) in try body(session.of(tenant)) }
  }

  private func onThread<T: Sendable>(_ body: @escaping @Sendable (any StoreEngine) throws(StoreError) -> T)
    async throws(StoreError) -> T
  {
    guard waiting < Self.queueLimit else { throw .unavailable("\(Self.queueLimit) transactions wait already") }
    waiting += 1
    let result: Result<T, StoreError> = await worker.run { [engine] () throws(Never) in
      Result { () throws(StoreError) in try body(engine.engine) }
    }
    waiting -= 1
    note(result)
    return try result.get()
  }

  private func note<T>(_ result: Result<T, StoreError>) {
    let reason: String? =
      switch result {
      case .failure(.unavailable(let text)), .failure(.unknown(let text)), .failure(.failed(let text)): text
      case .success, .failure: nil
      }
    guard isFaulty != (reason != nil) else { return }
    isFaulty = reason != nil
    onFault(reason)
  }
}

/// The engine lives on the worker's thread and nowhere else.
private final class EngineBox: @unchecked Sendable {
  let engine: any StoreEngine
  init(_ engine: any StoreEngine) { self.engine = engine }
}

/// One transaction.
package struct StoreSession {
  private let connection: any StoreConnection

  init(_ connection: any StoreConnection) { self.connection = connection }

  package func of(_ tenant: UUID) -> TenantRows { TenantRows(self, tenant) }

  /// The door past the tenants: for what has none, and for what the agent itself keeps in memory of all.
  @discardableResult
  package func rows(acrossTenants sql: StaticString, _ values: SQLValue...) throws(StoreError) -> [[SQLValue]] {
    try connection.rows(sql, values)
  }

  @discardableResult
  fileprivate func rows(_ sql: StaticString, bound values: [SQLValue]) throws(StoreError) -> [[SQLValue]] {
    try connection.rows(sql, values)
  }

  /// Rows that the last statement changed.
  package var changes: Int { connection.changes }
}

/// The rows of one tenant. `?1` is the tenant and is bound here; a statement that does not ask for it is a mistake of
/// ours that stops the program in every test that meets it.
package struct TenantRows {
  package let tenant: UUID
  private let session: StoreSession

  init(_ session: StoreSession, _ tenant: UUID) { (self.session, self.tenant) = (session, tenant) }

  @discardableResult
  package func rows(_ sql: StaticString, _ values: SQLValue...) throws(StoreError) -> [[SQLValue]] {
    precondition(Self.isScoped("\(sql)"), "a statement without its tenant: \(sql)")
    return try session.rows(sql, bound: [.id(tenant)] + values)
  }

  package var changes: Int { session.changes }

  /// Until this transaction ends, others that ask for the same wait: for what counts on from the last row.
  package func lock() throws(StoreError) {
    try session.rows("UPDATE tenants SET name = name WHERE id = ?1", bound: [.id(tenant)])
  }

  static func isScoped(_ sql: String) -> Bool {
    if sql.contains("tenant_id = ?1") { return true }
    let plain = String(sql.filter { !$0.isWhitespace })
    return plain.hasPrefix("INSERTINTO") && plain.contains("(tenant_id,") && plain.contains("VALUES(?1,")
  }
}
