// API keys: made from 256 random bits (a user's are derived), kept as SHA-256, shown once, checked in memory.

package import Basics
internal import Crypto
package import Loop
internal import Store

package struct KeyError: Error, CustomStringConvertible {
  package let field: String
  package let reason: String
  package var description: String { "\(field): \(reason)" }
}

@LoopActor
package final class KeyRing {
  private let store: IdentityStore
  private let secret: ServerSecret
  /// By the first half of the hash: a request looks one up without an array of its own.
  private var keys: [UUID: StoredKey] = [:]
  /// Keys that were used since that was last written down.
  private var used: Set<UUID> = []
  /// Told the ids of keys that stopped being valid, so that open connections end.
  package var onRevoked: @LoopActor (UUID) -> Void = { _ in }

  package init(store: IdentityStore, secret: ServerSecret) { (self.store, self.secret) = (store, secret) }

  func take(_ keys: [StoredKey]) {
    self.keys = Dictionary(keys.map { ($0.lookup, $0) }) { first, _ in first }
  }

  // MARK: Making

  /// Makes a key. Its text is in the result and nowhere else.
  package func create(
    _ kind: StoredKey.Kind = .relay, name: String, scopes: [Scope], tenant: UUID, expiresAt: Timestamp? = nil,
    by visitor: Visitor
  ) async throws -> (key: StoredKey, text: Secret<String>) {
    try Self.check(name, expiresAt)
    let (key, text) = Self.make(kind, name, scopes.map(\.rawValue), tenant, expiresAt)
    try await store.insert(key, visitor.note("key.created", key.hint, key.name))
    keys[key.lookup] = key
    return (key, text)
  }

  private static func check(_ name: String, _ expiresAt: Timestamp?) throws {
    let isFine = !name.trimmed.isEmpty && name.utf8.count <= 100 && name.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
    guard isFine else { throw KeyError(field: "name", reason: "between 1 and 100 bytes of printable text") }
    guard expiresAt.map({ $0 > Timestamp.now() }) ?? true else {
      throw KeyError(field: "expires_at", reason: "a time to come")
    }
  }

  private static func make(
    _ kind: StoredKey.Kind, _ name: String, _ scopes: [String], _ tenant: UUID, _ expiresAt: Timestamp?
  ) -> (StoredKey, Secret<String>) {
    let text = (kind == .app ? "app_" : "sk_") + Hex.encode(Random.bytes(32))
    return (stored(kind, text, name, scopes, tenant, expiresAt), Secret(text))
  }

  private static func stored(
    _ kind: StoredKey.Kind, _ text: String, _ name: String, _ scopes: [String], _ tenant: UUID,
    _ expiresAt: Timestamp?, user: UUID? = nil
  ) -> StoredKey {
    StoredKey(
      id: .random(), tenant: tenant, kind: kind, name: name.trimmed, hint: text.prefix(8) + "…" + text.suffix(4),
      scopes: scopes, createdAt: Timestamp.now(), expiresAt: expiresAt, revokedAt: nil, lastUsedAt: nil,
      hash: Digest.sha256(Array(text.utf8)), userID: user, rights: Scope.rights(scopes))
  }

  /// A key in the place of another; both hold for `overlapSeconds`. Nil when the tenant has no such key in use.
  package func rotate(_ id: UUID, of tenant: UUID, overlapSeconds: Double, by visitor: Visitor) async throws -> (
    key: StoredKey, text: Secret<String>
  )? {
    guard let old = keys.values.first(where: { $0.id == id && $0.tenant == tenant }), isValid(old), old.kind != .user
    else { return nil }
    let (new, text) = Self.make(old.kind, old.name, old.scopes, tenant, old.expiresAt)
    let end = Timestamp.now().adding(seconds: overlapSeconds)
    let until = old.expiresAt.map { min($0, end) } ?? end
    let note = visitor.note("key.rotated", old.hint, "by \(new.hint)")
    guard try await store.replace(old, with: new, until: until, note) else { return nil }
    keys[new.lookup] = new
    keys[old.lookup]?.expiresAt = until
    endConnections(of: id, at: until)
    return (new, text)
  }

  /// What the old key opened ends with it.
  private func endConnections(of id: UUID, at time: Timestamp) {
    let left = time.seconds(since: Timestamp.now())
    guard left > 0 else { return onRevoked(id) }
    LoopActor.loop.after(.nanoseconds(Int64(left * 1e9))) { [weak self] in self?.onRevoked(id) }
  }

  func ids(of user: UUID) -> [UUID] { keys.values.filter { $0.userID == user }.map(\.id) }

  /// A user's own key, which can be shown again because it is derived and not kept. It may what the user may.
  package func userKey(of user: StoredUser) -> Secret<String> {
    let purpose = "user key \(user.id) \(user.keyVersion)"
    return Secret("aisk_" + Base64.encodeURL(secret.derived(purpose).reveal()))
  }

  /// Makes the present version of a user's key known, and ends the versions before it.
  package func install(userKeyOf user: StoredUser, by visitor: Visitor) async throws {
    for old in keys.values where old.userID == user.id && old.revokedAt == nil {
      _ = try await revoke(old.id, of: user.tenant, by: visitor)
    }
    let text = userKey(of: user).reveal()
    let key = Self.stored(.user, text, "key of \(user.username)", [], user.tenant, nil, user: user.id)
    try await store.insert(key, visitor.note("key.created", key.hint, key.name))
    keys[key.lookup] = key
  }

  // MARK: Looking

  package func all(of tenant: UUID) -> [StoredKey] {
    keys.values.filter { $0.tenant == tenant }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
      .map { key in
        var key = key
        if used.contains(key.id) { key.lastUsedAt = Timestamp.now() }
        return key
      }
  }

  /// The key with this text, if it is of this kind and valid now.
  /// - Parameter kind: nil for any.
  package func find(_ text: Substring, _ kind: StoredKey.Kind?) -> StoredKey? {
    guard text.utf8.count <= 200, let key = keys[StoredKey.lookup(text)], kind == nil || kind == key.kind, isValid(key)
    else { return nil }
    used.insert(key.id)
    return key
  }

  package func find(_ text: String, _ kind: StoredKey.Kind?) -> StoredKey? { find(text[...], kind) }

  private func isValid(_ key: StoredKey) -> Bool {
    key.revokedAt == nil && (key.expiresAt.map { $0 > Timestamp.now() } ?? true)
  }

  // MARK: Ending

  /// False when there is no such key.
  package func revoke(_ id: UUID, of tenant: UUID, by visitor: Visitor) async throws -> Bool {
    guard let key = keys.values.first(where: { $0.id == id && $0.tenant == tenant }) else { return false }
    let now = Timestamp.now()
    guard try await store.revoke(id, of: tenant, at: now, visitor.note("key.revoked", key.hint, key.name)) else {
      return false
    }
    if key.revokedAt == nil { keys[key.lookup]?.revokedAt = now }
    onRevoked(id)
    return true
  }

  /// Writes down when keys were last used; called now and then, so that use costs no write of its own.
  package func saveUses() async {
    let now = Timestamp.now()
    let batch = keys.values.filter { used.contains($0.id) }.map { (id: $0.id, tenant: $0.tenant, at: now) }
    used = []
    for (id, _, at) in batch {
      for (lookup, key) in keys where key.id == id { keys[lookup]?.lastUsedAt = at }
    }
    // What could not be written is written with the next use.
    if !batch.isEmpty { try? await store.noteUse(batch) }
  }
}

extension StoredKey {
  /// 128 bits of SHA-256: no two of 256 random bits share them.
  static func lookup(_ text: Substring) -> UUID {
    var text = text
    let halves = text.withUTF8 { Digest.sha256Halves(UnsafeRawBufferPointer($0)) }
    return UUID(high: halves.0, low: halves.1)
  }

  var lookup: UUID { UUID(bytes: Array(hash.prefix(16))) ?? id }
}
