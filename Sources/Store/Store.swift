// The state that is not events: tenants, API keys, idempotency. SQLite on a thread of its own; every query names its
// tenant here, not in the handlers.

package import Basics
internal import Crypto
internal import Loop
package import SQLite

package struct StoredKey: Sendable, Equatable {
  package let id: UUID
  package let tenant: UUID
  package let name: String
  /// First eight and last four characters: enough to find it, too little to use it.
  package let hint: String
  package let scopes: [String]
  package let createdAt: Timestamp
  package let expiresAt: Timestamp?
  package let revokedAt: Timestamp?
  package let hash: [UInt8]

  package init(
    id: UUID, tenant: UUID, name: String, hint: String, scopes: [String], createdAt: Timestamp, expiresAt: Timestamp?,
    revokedAt: Timestamp?, hash: [UInt8]
  ) {
    (self.id, self.tenant, self.name, self.hint, self.scopes) = (id, tenant, name, hint, scopes)
    (self.createdAt, self.expiresAt, self.revokedAt, self.hash) = (createdAt, expiresAt, revokedAt, hash)
  }
}

/// What became of a request that was made once with an Idempotency-Key.
package enum IdempotentOutcome: Sendable, Equatable {
  /// Nobody asked before; the request is now noted as under way.
  case new
  case done(status: Int, body: [UInt8])
  case underWay
  /// The same key came with another request.
  case mismatch
}

package final class Store: Sendable {
  private let worker: Worker
  private let database: Database

  private init(worker: Worker, database: Database) { (self.worker, self.database) = (worker, database) }

  /// Opens or creates the state and brings its schema to the newest version.
  package static func open(path: String) async throws -> Store {
    let worker = Worker(name: "state")
    let database = try await worker.run { () throws(SQLiteError) in
      let database = try Database(path: path)
      try database.migrate(StoreMigrations.steps)
      return database
    }
    return Store(worker: worker, database: database)
  }

  @discardableResult
  package func run<T: Sendable>(_ body: @escaping @Sendable (Database) throws(SQLiteError) -> T)
    async throws(SQLiteError) -> T
  {
    try await worker.run { [database] () throws(SQLiteError) in try body(database) }
  }

  // MARK: Keys

  package func insert(_ key: StoredKey) async throws(SQLiteError) {
    try await run { database throws(SQLiteError) in
      try database.rows(
        """
        INSERT INTO api_keys (tenant_id, id, name, hint, scopes, created_at, expires_at, hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """, .blob(key.tenant.bytes), .blob(key.id.bytes), .text(key.name), .text(key.hint),
        .text(key.scopes.joined(separator: " ")), .int(key.createdAt.microseconds),
        key.expiresAt.map { .int($0.microseconds) } ?? .null, .blob(key.hash))
    }
  }

  /// Every key of every tenant, oldest first: what the identity room keeps in memory.
  package func allKeys() async throws(SQLiteError) -> [StoredKey] {
    try await run { database throws(SQLiteError) in
      try database.rows(
        """
        SELECT id, tenant_id, name, hint, scopes, created_at, expires_at, revoked_at, hash
        FROM api_keys
        ORDER BY created_at, id
        LIMIT 100000
        """
      ).compactMap(Self.key)
    }
  }

  private static func key(_ row: [SQLValue]) -> StoredKey? {
    guard case .blob(let id) = row[0], case .blob(let tenant) = row[1], case .text(let name) = row[2],
      case .text(let hint) = row[3], case .text(let scopes) = row[4], case .int(let created) = row[5],
      case .blob(let hash) = row[8], let id = UUID(bytes: id), let tenant = UUID(bytes: tenant)
    else { return nil }
    func time(_ value: SQLValue) -> Timestamp? {
      if case .int(let microseconds) = value { Timestamp(microseconds: microseconds) } else { nil }
    }
    return StoredKey(
      id: id, tenant: tenant, name: name, hint: hint, scopes: scopes.split(separator: " ").map(String.init),
      createdAt: Timestamp(microseconds: created), expiresAt: time(row[6]), revokedAt: time(row[7]), hash: hash)
  }

  /// False when the tenant has no such key.
  package func revoke(_ id: UUID, of tenant: UUID, at time: Timestamp) async throws(SQLiteError) -> Bool {
    try await run { database throws(SQLiteError) in
      try database.rows(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE tenant_id = ? AND id = ?",
        .int(time.microseconds), .blob(tenant.bytes), .blob(id.bytes))
      return database.changes > 0
    }
  }

  // MARK: Idempotency

  /// Notes that this request is under way, unless it was made before.
  package func begin(_ key: String, of caller: UUID, tenant: UUID, request: [UInt8]) async throws(SQLiteError)
    -> IdempotentOutcome
  {
    let now = Timestamp.now()
    return try await run { database throws(SQLiteError) in
      try database.rows("DELETE FROM idempotency WHERE created_at < ?", .int(now.adding(seconds: -86_400).microseconds))
      let known = try database.rows(
        "SELECT request, status, body FROM idempotency WHERE tenant_id = ? AND caller_id = ? AND key = ?",
        .blob(tenant.bytes), .blob(caller.bytes), .text(key))
      if let row = known.first {
        guard row[0] == .blob(request) else { return .mismatch }
        if case .int(let status) = row[1], case .blob(let body) = row[2] {
          return .done(status: Int(status), body: body)
        }
        return .underWay
      }
      try database.rows(
        "INSERT INTO idempotency (tenant_id, caller_id, key, request, created_at) VALUES (?, ?, ?, ?, ?)",
        .blob(tenant.bytes), .blob(caller.bytes), .text(key), .blob(request), .int(now.microseconds))
      return .new
    }
  }

  /// Keeps the answer for 24 h; a nil answer forgets the request, so that it may be tried again.
  package func finish(_ key: String, of caller: UUID, tenant: UUID, status: Int?, body: [UInt8])
    async throws(SQLiteError)
  {
    try await run { database throws(SQLiteError) in
      if let status {
        try database.rows(
          "UPDATE idempotency SET status = ?, body = ? WHERE tenant_id = ? AND caller_id = ? AND key = ?",
          .int(Int64(status)), .blob(body), .blob(tenant.bytes), .blob(caller.bytes), .text(key))
      } else {
        try database.rows(
          "DELETE FROM idempotency WHERE tenant_id = ? AND caller_id = ? AND key = ?", .blob(tenant.bytes),
          .blob(caller.bytes), .text(key))
      }
    }
  }
}

package enum StoreMigrations {
  package static let steps = [step1]

  private static let step1 = """
    CREATE TABLE tenants (
      id BLOB PRIMARY KEY,
      name TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO tenants (id, name, created_at) VALUES (x'00000000000080008000000000000001', 'default', 0);
    CREATE TABLE api_keys (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      id BLOB NOT NULL,
      name TEXT NOT NULL,
      hint TEXT NOT NULL,
      scopes TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      revoked_at INTEGER,
      hash BLOB NOT NULL UNIQUE,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE idempotency (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      caller_id BLOB NOT NULL,
      key TEXT NOT NULL,
      request BLOB NOT NULL,
      status INTEGER,
      body BLOB,
      created_at INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, caller_id, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_by_age ON idempotency (created_at);
    """
}
