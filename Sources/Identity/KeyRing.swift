// API keys: made from 256 random bits, kept as SHA-256, shown once, checked in memory.

package import Basics
internal import Crypto
package import Loop
package import Store

package struct KeyError: Error, CustomStringConvertible {
  package let description: String
}

@LoopActor
package final class KeyRing {
  private let store: Store
  private var keys: [[UInt8]: StoredKey] = [:]
  private var tickets: [String: (key: StoredKey, until: Moment)] = [:]
  /// Told the ids of keys that stopped being valid, so that open connections end.
  package var onRevoked: @LoopActor (UUID) -> Void = { _ in }

  package init(store: Store) { self.store = store }

  package func load() async throws {
    for key in try await store.allKeys() { keys[key.hash] = key }
  }

  /// Makes a key. Its text is in the result and nowhere else.
  package func create(
    name: String, scopes: [Scope], tenant: UUID, expiresAt: Timestamp? = nil
  ) async throws -> (key: StoredKey, text: Secret<String>) {
    guard !name.trimmed.isEmpty, name.utf8.count <= 100 else {
      throw KeyError(description: "name: between 1 and 100 bytes of text")
    }
    let text = "sk_" + Hex.encode(Random.bytes(32))
    let key = StoredKey(
      id: Self.randomID(), tenant: tenant, name: name.trimmed, hint: text.prefix(8) + "…" + text.suffix(4),
      scopes: scopes.map(\.rawValue), createdAt: Timestamp.now(), expiresAt: expiresAt, revokedAt: nil,
      hash: Digest.sha256(Array(text.utf8)))
    try await store.insert(key)
    keys[key.hash] = key
    return (key, Secret(text))
  }

  private static func randomID() -> UUID {
    let bytes = Random.bytes(16)
    let halves = UUID(bytes: bytes) ?? UUID(high: 0, low: 0)
    return UUID(high: halves.high & ~0xf000 | 0x4000, low: halves.low & ~(3 << 62) | 1 << 63)
  }

  package var all: [StoredKey] { keys.values.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) } }

  /// False when there is no such key.
  package func revoke(_ id: UUID, of tenant: UUID) async throws -> Bool {
    guard try await store.revoke(id, of: tenant, at: Timestamp.now()) else { return false }
    keys = keys.filter { $0.value.id != id }
    tickets = tickets.filter { $0.value.key.id != id }
    onRevoked(id)
    return true
  }

  /// The key with this text, if it is valid now.
  package func find(_ text: String) -> StoredKey? {
    guard text.utf8.count <= 200, let key = keys[Digest.sha256(Array(text.utf8))] else { return nil }
    return isValid(key) ? key : nil
  }

  private func isValid(_ key: StoredKey) -> Bool {
    key.revokedAt == nil && (key.expiresAt.map { $0 > Timestamp.now() } ?? true)
  }

  // MARK: Tickets

  /// A ticket for one connection within 30 s, for browsers that cannot set a header on a WebSocket.
  package func issueTicket(for id: UUID) -> String? {
    let now = Moment.now()
    tickets = tickets.filter { $0.value.until > now }
    guard let key = keys.values.first(where: { $0.id == id }), tickets.count < 10_000 else { return nil }
    let ticket = Hex.encode(Random.bytes(24))
    tickets[ticket] = (key, now + .seconds(30))
    return ticket
  }

  package func redeem(_ ticket: String) -> StoredKey? {
    guard let found = tickets.removeValue(forKey: ticket), found.until > Moment.now(), isValid(found.key) else {
      return nil
    }
    return found.key
  }
}
