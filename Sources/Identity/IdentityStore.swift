// The rows behind identity. Reading all of them is for the memory that the loop checks credentials against; every change
// names its tenant, and is written in one transaction with what the audit log says of it.

package import Basics
internal import Loop
package import Store

package struct StoredKey: Sendable, Equatable {
  /// Whose kind of credential it is, and in which header it comes (docs/decisions/0010-identity.md).
  package enum Kind: String, Sendable, CaseIterable { case relay, app, user }

  package var id: UUID
  package var tenant: UUID
  package var kind: Kind
  package var name: String
  /// First eight and last four characters: enough to find it, too little to use it.
  package var hint: String
  package var scopes: [String]
  package var createdAt: Timestamp
  package var expiresAt: Timestamp?
  package var revokedAt: Timestamp?
  package var lastUsedAt: Timestamp?
  package var hash: [UInt8]
  /// Whose it is, of a user's key: it may what the user may.
  package var userID: UUID?

  /// What its scopes amount to, made once.
  package let rights: Set<String>
}

package struct StoredUser: Sendable, Equatable {
  package var id: UUID
  package var tenant: UUID
  package var username: String
  package var role: Role
  package var passwordHash: String?
  /// Sessions of an earlier generation have ended.
  package var generation: Int64
  package var mustChangePassword: Bool
  /// Of the key that is derived for this user; 0 before the first.
  package var keyVersion: Int64
  package var totpSecret: Secret<[UInt8]>?
  /// The last thirty-second step whose code was used: none is taken twice.
  package var totpLastStep: Int64?
  package var disabledAt: Timestamp?
  package var createdAt: Timestamp
  package var lastLoginAt: Timestamp?
}

package struct StoredTenant: Sendable, Equatable {
  package let id: UUID
  package let name: String
  package let createdAt: Timestamp
}

/// A key under which sessions are signed, by name; the secret itself is derived and not kept.
package struct SigningKey: Sendable, Equatable {
  package let kid: String
  package let createdAt: Timestamp
  /// Tokens signed with it are refused from then on; nil for the one that signs.
  package var retiresAt: Timestamp?
}

package struct IdentityStore: Sendable {
  let store: Store

  package init(_ store: Store) { self.store = store }

  // MARK: All of it, for memory

  @LoopActor
  func everything() async throws(StoreError) -> (
    tenants: [StoredTenant], keys: [StoredKey], users: [StoredUser], signing: [SigningKey], ended: [String]
  ) {
    try await store.run { session throws(StoreError) in
      let tenants = try session.rows(
        acrossTenants: "SELECT id, name, created_at FROM tenants ORDER BY name LIMIT 100000")
      let keys = try session.rows(
        acrossTenants: """
          SELECT id, tenant_id, kind, name, hint, scopes, created_at, expires_at, revoked_at, last_used_at, hash,
            user_id
          FROM api_keys
          ORDER BY (revoked_at IS NOT NULL), created_at DESC, id
          LIMIT 100000
          """)
      let users = try session.rows(
        acrossTenants: """
          SELECT id, tenant_id, username, role, password_hash, generation, must_change_password, totp_secret,
            totp_last_step, disabled_at, created_at, last_login_at, key_version
          FROM users
          ORDER BY username
          LIMIT 100000
          """)
      let signing = try session.rows(
        acrossTenants: "SELECT kid, created_at, retires_at FROM signing_keys ORDER BY created_at LIMIT 1000")
      let ended = try session.rows(
        acrossTenants: "SELECT id FROM ended_sessions WHERE expires_at > ?1 LIMIT 100000", .time(Timestamp.now()))
      return (
        tenants.compactMap(Self.tenant), keys.compactMap(Self.key), users.compactMap(Self.user),
        signing.compactMap(Self.signingKey), ended.compactMap { $0[0].text }
      )
    }
  }

  private static func tenant(_ row: [SQLValue]) -> StoredTenant? {
    guard let id = row[0].uuid, let name = row[1].text, let at = row[2].time else { return nil }
    return StoredTenant(id: id, name: name, createdAt: at)
  }

  private static func key(_ row: [SQLValue]) -> StoredKey? {
    guard let id = row[0].uuid, let tenant = row[1].uuid, let kind = row[2].text.flatMap(StoredKey.Kind.init),
      let name = row[3].text, let hint = row[4].text, let scopes = row[5].text, let created = row[6].time,
      let hash = row[10].blob
    else { return nil }
    return StoredKey(
      id: id, tenant: tenant, kind: kind, name: name, hint: hint,
      scopes: scopes.split(separator: " ").map(String.init), createdAt: created, expiresAt: row[7].time,
      revokedAt: row[8].time, lastUsedAt: row[9].time, hash: hash, userID: row[11].uuid,
      rights: Scope.rights(scopes.split(separator: " ").map(String.init)))
  }

  private static func user(_ row: [SQLValue]) -> StoredUser? {
    guard let id = row[0].uuid, let tenant = row[1].uuid, let name = row[2].text,
      let role = row[3].text.flatMap(Role.init), let generation = row[5].int, let created = row[10].time,
      let keyVersion = row[12].int
    else { return nil }
    return StoredUser(
      id: id, tenant: tenant, username: name, role: role, passwordHash: row[4].text, generation: generation,
      mustChangePassword: row[6].int == 1, keyVersion: keyVersion, totpSecret: row[7].blob.map { Secret($0) },
      totpLastStep: row[8].int,
      disabledAt: row[9].time, createdAt: created, lastLoginAt: row[11].time)
  }

  private static func signingKey(_ row: [SQLValue]) -> SigningKey? {
    guard let kid = row[0].text, let at = row[1].time else { return nil }
    return SigningKey(kid: kid, createdAt: at, retiresAt: row[2].time)
  }

  // MARK: Changes

  @LoopActor
  func insert(_ key: StoredKey, _ note: AuditNote) async throws(StoreError) {
    try await store.run(of: key.tenant) { rows throws(StoreError) in
      try Self.insert(key, rows)
      try AuditLog.append(note, to: rows)
    }
  }

  private static func insert(_ key: StoredKey, _ rows: TenantRows) throws(StoreError) {
    try rows.rows(
      """
      INSERT INTO api_keys (tenant_id, id, kind, name, hint, scopes, created_at, expires_at, hash, user_id)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
      """, .id(key.id), .text(key.kind.rawValue), .text(key.name), .text(key.hint),
      .text(key.scopes.joined(separator: " ")), .time(key.createdAt), .optional(key.expiresAt), .blob(key.hash),
      key.userID.map { .id($0) } ?? .null)
  }

  /// Both keys hold until the old one expires.
  @LoopActor
  /// - Returns: false when the old one was revoked meanwhile.
  func replace(_ old: StoredKey, with new: StoredKey, until: Timestamp, _ note: AuditNote) async throws(StoreError)
    -> Bool
  {
    try await store.run(of: old.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        UPDATE api_keys
        SET expires_at = ?3, replaced_by = ?4
        WHERE tenant_id = ?1 AND id = ?2 AND revoked_at IS NULL
        """, .id(old.id), .time(until), .id(new.id))
      guard rows.changes > 0 else { return false }
      try Self.insert(new, rows)
      try AuditLog.append(note, to: rows)
      return true
    }
  }

  /// False when the tenant has no such key.
  @LoopActor
  func revoke(_ id: UUID, of tenant: UUID, at time: Timestamp, _ note: AuditNote) async throws(StoreError) -> Bool {
    try await store.run(of: tenant) { rows throws(StoreError) in
      try rows.rows(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?3) WHERE tenant_id = ?1 AND id = ?2", .id(id),
        .time(time))
      guard rows.changes > 0 else { return false }
      try AuditLog.append(note, to: rows)
      return true
    }
  }

  @LoopActor
  func noteUse(_ keys: [(id: UUID, tenant: UUID, at: Timestamp)]) async throws(StoreError) {
    try await store.run { session throws(StoreError) in
      for key in keys {
        try session.of(key.tenant).rows(
          "UPDATE api_keys SET last_used_at = ?3 WHERE tenant_id = ?1 AND id = ?2", .id(key.id), .time(key.at))
      }
    }
  }

  @LoopActor
  func insert(_ user: StoredUser, _ note: AuditNote) async throws(StoreError) {
    try await store.run(of: user.tenant) { rows throws(StoreError) in
      try Self.insert(user, rows)
      try AuditLog.append(note, to: rows)
    }
  }

  private static func insert(_ user: StoredUser, _ rows: TenantRows) throws(StoreError) {
    try rows.rows(
      """
      INSERT INTO users (
        tenant_id, id, username, role, password_hash, generation, must_change_password, created_at, key_version)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
      """, .id(user.id), .text(user.username), .text(user.role.rawValue), .optional(user.passwordHash),
      .int(user.generation), .bool(user.mustChangePassword), .time(user.createdAt), .int(user.keyVersion))
  }

  /// Writes what may change of a user, unless another agent changed them since.
  /// - Parameter generation: the one that the change was made upon.
  /// - Returns: false when the user is no longer of it.
  @LoopActor
  func update(_ user: StoredUser, of generation: Int64, _ note: AuditNote) async throws(StoreError) -> Bool {
    try await store.run(of: user.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        UPDATE users
        SET role = ?3, password_hash = ?4, generation = ?5, must_change_password = ?6, totp_secret = ?7,
          totp_last_step = ?8, disabled_at = ?9, last_login_at = ?10,
          key_version = ?11
        WHERE tenant_id = ?1 AND id = ?2 AND generation = ?12
        """, .id(user.id), .text(user.role.rawValue), .optional(user.passwordHash), .int(user.generation),
        .bool(user.mustChangePassword), user.totpSecret.map { .blob($0.reveal()) } ?? .null,
        .optional(user.totpLastStep), .optional(user.disabledAt), .optional(user.lastLoginAt), .int(user.keyVersion),
        .int(generation))
      guard rows.changes > 0 else { return false }
      try AuditLog.append(note, to: rows)
      return true
    }
  }

  @LoopActor
  func delete(_ user: StoredUser, _ note: AuditNote) async throws(StoreError) {
    try await store.run(of: user.tenant) { rows throws(StoreError) in
      try rows.rows("DELETE FROM users WHERE tenant_id = ?1 AND id = ?2", .id(user.id))
      try AuditLog.append(note, to: rows)
    }
  }

  @LoopActor
  func insert(_ tenant: StoredTenant, _ note: AuditNote) async throws(StoreError) {
    try await store.run { session throws(StoreError) in
      try session.rows(
        acrossTenants: "INSERT INTO tenants (id, name, created_at) VALUES (?1, ?2, ?3)", .id(tenant.id),
        .text(tenant.name), .time(tenant.createdAt))
      try AuditLog.append(note, to: session.of(tenant.id))
    }
  }

  @LoopActor
  func endSession(_ id: String, until expiry: Timestamp) async throws(StoreError) {
    try await store.run { session throws(StoreError) in
      try session.rows(acrossTenants: "DELETE FROM ended_sessions WHERE expires_at < ?1", .time(Timestamp.now()))
      try session.rows(
        acrossTenants: "INSERT INTO ended_sessions (id, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING", .text(id),
        .time(expiry))
    }
  }

  @LoopActor
  func insert(_ key: SigningKey, retiring old: [SigningKey]) async throws(StoreError) {
    try await store.run { session throws(StoreError) in
      for key in old {
        try session.rows(
          acrossTenants: "UPDATE signing_keys SET retires_at = ?2 WHERE kid = ?1", .text(key.kid),
          .optional(key.retiresAt))
      }
      try session.rows(
        acrossTenants: "INSERT INTO signing_keys (kid, created_at) VALUES (?1, ?2)", .text(key.kid),
        .time(key.createdAt))
    }
  }

  // MARK: The claim

  @LoopActor
  func insertClaim(_ hash: [UInt8], until: Timestamp) async throws(StoreError) {
    try await store.run { session throws(StoreError) in
      try session.rows(acrossTenants: "DELETE FROM claims")
      try session.rows(
        acrossTenants: "INSERT INTO claims (hash, created_at, expires_at) VALUES (?1, ?2, ?3)", .blob(hash),
        .time(Timestamp.now()), .time(until))
    }
  }

  /// Uses the claim up and makes its user, or does neither.
  @LoopActor
  func claim(_ hash: [UInt8], for user: StoredUser, _ note: AuditNote) async throws(StoreError) -> Bool {
    try await store.run { session throws(StoreError) in
      try session.rows(
        acrossTenants: "DELETE FROM claims WHERE hash = ?1 AND expires_at > ?2", .blob(hash), .time(Timestamp.now()))
      guard session.changes > 0 else { return false }
      try Self.insert(user, session.of(user.tenant))
      try AuditLog.append(note, to: session.of(user.tenant))
      return true
    }
  }

  @LoopActor
  func isClaimOpen(_ hash: [UInt8]) async throws(StoreError) -> Bool {
    try await store.run { session throws(StoreError) in
      try !session.rows(
        acrossTenants: "SELECT 1 FROM claims WHERE hash = ?1 AND expires_at > ?2", .blob(hash), .time(Timestamp.now())
      ).isEmpty
    }
  }
}
