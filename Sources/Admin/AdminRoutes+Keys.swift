// API keys: made, shown once, rotated with an overlap, revoked.

internal import Basics
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension AdminRoutes {
  var keyRoutes: [Route] {
    [
      route("GET", "/keys", "All API keys, without their text", Self.see, gives: AdminSchema.keys, listKeys),
      route(
        "POST", "/keys", "Make a key; its text is shown this once", Self.change, takes: AdminSchema.newKey,
        status: 201, gives: AdminSchema.key, createKey),
      route(
        "POST", "/keys/{id}/rotate", "A key in the place of this one; both hold during the overlap", Self.change,
        takes: AdminSchema.rotation, status: 201, gives: AdminSchema.key, rotateKey),
      route(
        "DELETE", "/keys/{id}", "Revoke a key and end its connections", Self.change, status: 204, revokeKey),
    ]
  }

  private func listKeys(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let keys = identity.keys.all(of: try caller(context).tenant)
    return Self.list(keys) { Self.write($0, nil, to: &$1) }
  }

  private static func write(_ key: StoredKey, _ text: Secret<String>?, to json: inout JSONWriter) {
    json.object { json in
      json.field("id", key.id)
      json.field("kind", key.kind.rawValue)
      json.field("name", key.name)
      json.field("hint", key.hint)
      json.key("scopes")
      json.array { json in for scope in key.scopes { json.value(scope) } }
      json.field("created_at", key.createdAt)
      json.field("expires_at", key.expiresAt)
      json.field("revoked_at", key.revokedAt)
      json.field("last_used_at", key.lastUsedAt)
      if let text { json.field("key", text.reveal()) }
    }
  }

  private func createKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, body) = (try caller(context), visitor(context), try context.json())
    let name = try text(body, "name")
    let kindText = try optionalText(body, "kind") ?? "relay"
    guard let kind = StoredKey.Kind(rawValue: kindText), kind != .user else {
      throw .badField("kind", "expected relay or app")
    }
    let (scopes, expiresAt) = (try scopes(body, caller), try time(body, "expires_at"))
    try mayMakeKey(caller)
    let (key, text) = try await Self.storing {
      try await identity.keys.create(
        kind, name: name, scopes: scopes, tenant: caller.tenant, expiresAt: expiresAt, by: visitor)
    }
    return .response(.json(status: 201) { Self.write(key, text, to: &$0) })
  }

  /// The operator makes as many as it takes.
  func mayMakeKey(_ caller: Caller) throws(APIError) {
    guard let id = caller.id, let seconds = identity.waitForKey(of: id) else { return }
    var error = APIError(429, "rate-limited", "Too many keys within an hour. Wait \(seconds) s, then try again.")
    error.retryAfter = seconds
    throw error
  }

  /// Nobody hands out a right they do not have.
  private func scopes(_ body: JSONValue, _ caller: Caller) throws(APIError) -> [Scope] {
    guard let given = body["scopes"], given != .null else { return Scope.standard }
    let names = given.array?.compactMap(\.string) ?? []
    let scopes = names.compactMap(Scope.init(rawValue:))
    guard !scopes.isEmpty, scopes.count == given.array?.count, Set(scopes).count == scopes.count else {
      throw .badField("scopes", "expected some of \(Scope.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard scopes.allSatisfy({ caller.rights.contains($0.rawValue) }) else {
      throw APIError(403, "no-right", "A key cannot be given a right that you lack.")
    }
    return scopes
  }

  private func rotateKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, id) = (try caller(context), visitor(context), try id(context, "key"))
    let body = context.request.body.isEmpty ? JSONValue.object([]) : try context.json()
    var hours = 24.0
    if let value = body["overlap_hours"], value != .null {
      guard let given = value.double, (0...720).contains(given) else {
        throw .badField("overlap_hours", "expected 0 to 720")
      }
      hours = given
    }
    let seconds = hours * 3600
    guard let old = identity.keys.all(of: caller.tenant).first(where: { $0.id == id }) else { throw .notFound("key") }
    try mayRule(old.rights, context)
    try mayMakeKey(caller)
    let made = try await Self.storing {
      try await identity.keys.rotate(id, of: caller.tenant, overlapSeconds: seconds, by: visitor)
    }
    guard let (key, text) = made else { throw .notFound("key") }
    return .response(.json(status: 201) { Self.write(key, text, to: &$0) })
  }

  private func revokeKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, id) = (try caller(context), visitor(context), try id(context, "key"))
    let isKnown = try await Self.storing { try await identity.keys.revoke(id, of: caller.tenant, by: visitor) }
    guard isKnown else { throw .notFound("key") }
    return Self.empty
  }
}
