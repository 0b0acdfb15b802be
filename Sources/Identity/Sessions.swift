// A signed-in person's token: made at login, carried in a cookie or as a bearer, believed while its key, its user and
// that user's generation of sessions hold. Nothing is looked up but memory.

package import Basics
internal import Crypto
internal import JSON
package import Loop
internal import Store

/// Who a token says somebody is.
package struct Session: Sendable {
  package let userID: UUID
  package let tenant: UUID
  package let generation: Int64
  /// The token's own name; its CSRF token is derived from it.
  package let id: UUID
  package let expiresAt: Timestamp
}

@LoopActor
package final class Sessions {
  package nonisolated static let lifetimeSeconds = 86_400.0
  package nonisolated static let issuer = "sidetone"
  package nonisolated static let audience = "sidetone"
  /// A key signs no longer than this; the next is made by itself.
  private static let keyLifetimeSeconds = 30 * 86_400.0

  private let secret: ServerSecret
  private let store: IdentityStore
  private var keys: [SigningKey] = []
  private var ended: Set<UUID> = []
  private let turn = Turn()
  /// Told which session ended; nil for all there were.
  var onEnded: @LoopActor (UUID?) -> Void = { _ in }

  package init(secret: ServerSecret, store: IdentityStore) { (self.secret, self.store) = (secret, store) }

  func take(_ keys: [SigningKey], ended: [String]) {
    (self.keys, self.ended) = (keys, Set(ended.compactMap { UUID($0) }))
  }

  /// Ends this one session, over restarts.
  package func end(_ session: Session) async throws {
    ended.insert(session.id)
    onEnded(session.id)
    try await store.endSession(session.id.description, until: session.expiresAt)
  }

  // MARK: Keys

  /// Makes a new key to sign with. Tokens of the one before hold until they would have expired, or not at all.
  package func rotate(endingSessions: Bool = false) async throws {
    await turn.begin()
    defer { turn.end() }
    try await makeKey(endingSessions: endingSessions)
    if endingSessions { onEnded(nil) }
  }

  private func makeKey(endingSessions: Bool) async throws {
    let now = Timestamp.now()
    let end = endingSessions ? now : now.adding(seconds: Self.lifetimeSeconds)
    var old = keys.filter { $0.retiresAt.map { $0 > now } ?? true }
    for index in old.indices { old[index].retiresAt = min(old[index].retiresAt ?? end, end) }
    let new = SigningKey(kid: Hex.encode(Random.bytes(8)), createdAt: now, retiresAt: nil)
    try await store.insert(new, retiring: old)
    keys = old + [new]
  }

  private func signingKey() async throws -> SigningKey {
    if let key = youngKey { return key }
    await turn.begin()
    defer { turn.end() }
    if youngKey == nil { try await makeKey(endingSessions: false) }
    return keys[keys.count - 1]
  }

  private var youngKey: SigningKey? {
    keys.last { $0.retiresAt == nil && Timestamp.now().seconds(since: $0.createdAt) < Self.keyLifetimeSeconds }
  }

  private func key(_ kid: String?) -> Secret<[UInt8]>? {
    let now = Timestamp.now()
    guard let kid, keys.contains(where: { $0.kid == kid && $0.retiresAt.map { $0 > now } ?? true }) else { return nil }
    return secret.derived("jwt " + kid)
  }

  // MARK: Tokens

  package func issue(to user: StoredUser) async throws -> (token: Secret<String>, session: Session) {
    let key = try await signingKey()
    let now = Timestamp.now()
    let session = Session(
      userID: user.id, tenant: user.tenant, generation: user.generation, id: .random(),
      expiresAt: now.adding(seconds: Self.lifetimeSeconds))
    let token = JWT.sign(kid: key.kid, key: secret.derived("jwt " + key.kid)) { json in
      json.field("iss", Self.issuer)
      json.field("aud", Self.audience)
      json.field("user_id", user.id)
      json.field("username", user.username)
      json.field("role", user.role.rawValue)
      json.field("tenant_id", user.tenant)
      json.field("generation", user.generation)
      json.field("jti", session.id)
      json.field("iat", now.microseconds / 1_000_000)
      json.field("exp", session.expiresAt.microseconds / 1_000_000)
    }
    return (Secret(token), session)
  }

  package func verify(_ token: String) throws(JWTFault) -> Session {
    let found: (kid: String, key: Secret<[UInt8]>)? = Self.kid(of: token).flatMap { kid in key(kid).map { (kid, $0) } }
    var verifier = JWTVerifier { kid in kid == found?.kid ? found?.key : nil }
    (verifier.issuer, verifier.audience) = (Self.issuer, Self.audience)
    let claims = try verifier.verify(token, now: Double(Timestamp.now().microseconds) / 1e6)
    guard let user = claims["user_id"]?.string.flatMap({ UUID($0) }),
      let tenant = claims["tenant_id"]?.string.flatMap({ UUID($0) }), let generation = claims["generation"]?.int,
      let id = claims["jti"]?.string.flatMap({ UUID($0) }), let expires = claims["exp"]?.int
    else { throw .missingClaim }
    if ended.contains(id) { throw .expired }
    return Session(
      userID: user, tenant: tenant, generation: generation, id: id,
      expiresAt: Timestamp(microseconds: expires * 1_000_000))
  }

  private nonisolated static func kid(of token: String) -> String? {
    guard token.utf8.count <= JWTVerifier.longest, let head = token.split(separator: ".").first,
      let bytes = Base64.decodeURL(head), let json = try? JSONValue(parsing: bytes)
    else { return nil }
    return json["kid"]?.string
  }

  /// What a page must send along with every write, beside the cookie that the browser sends by itself.
  package func csrfToken(of session: Session) -> String {
    Base64.encodeURL(secret.derived("csrf \(session.id)").reveal())
  }

  package func isCSRFToken(_ text: String, of session: Session) -> Bool {
    isEqualInConstantTime(Array(text.utf8), Array(csrfToken(of: session).utf8))
  }
}
