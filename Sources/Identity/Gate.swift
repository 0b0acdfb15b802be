// The one door: from a request's credential to a caller with rights, or a refusal.

internal import Basics
internal import CallModel
package import HTTP
package import Loop

@LoopActor
package final class Gate {
  package nonisolated static let cookieName = "sidetone_session"

  private let identity: IdentityRoom
  private let allowsAnonymousRead: Bool
  private var limiter: RateLimiter
  /// Paths on which a credential may stand in the query, because browsers cannot set headers there.
  private let queryCredentialPaths: Set<String>

  package init(
    identity: IdentityRoom, allowsAnonymousRead: Bool, requestsPerMinute: Int, queryCredentialPaths: Set<String>
  ) {
    (self.identity, self.allowsAnonymousRead) = (identity, allowsAnonymousRead)
    self.queryCredentialPaths = queryCredentialPaths
    limiter = RateLimiter(perMinute: requestsPerMinute)
  }

  /// - Parameter peer: the address, or `operator` for the socket in the runtime folder.
  package func authorise(_ request: HTTPRequest, _ access: Access, peer: String) throws(APIError) -> Caller? {
    switch access {
    case .open: return nil
    case .loopbackOr where Self.isOnThisHost(request, peer): return nil
    case .loopbackOr(let right), .right(let right): return try caller(of: request, with: right, peer)
    case .signedIn:
      guard let caller = try credential(request), caller.kind == .user else { throw Self.noCredentials }
      return try counted(caller)
    case .operatorOnly:
      guard peer == "operator" else {
        throw APIError(403, "operator-only", "Only the command line on the agent's own host may do this.")
      }
      return try operatorCaller(request)
    }
  }

  /// Nobody forwarded it for somebody else.
  private static func isOnThisHost(_ request: HTTPRequest, _ peer: String) -> Bool {
    ["127.0.0.1", "::1", "operator"].contains(peer) && request.header("x-real-ip") == nil
      && request.header("x-forwarded-for") == nil
  }

  private func caller(of request: HTTPRequest, with right: String, _ peer: String) throws(APIError) -> Caller {
    if peer == "operator" { return try operatorCaller(request) }
    guard let caller = try credential(request) else {
      if allowsAnonymousRead, Self.anonymous.rights.contains(right) { return Self.anonymous }
      throw Self.noCredentials
    }
    guard caller.rights.contains(right) else { throw refusal(caller, right) }
    return try counted(caller)
  }

  private func refusal(_ caller: Caller, _ right: String) -> APIError {
    if caller.kind == .user, caller.rights.isEmpty {
      return APIError(403, "password-change-needed", "Change your password first.")
    }
    let whose = caller.kind == .user ? "Your role" : "This key"
    return APIError(403, "no-right", "\(whose) lacks the right \(right).")
  }

  private static let noCredentials = APIError(401, "no-credentials", "Missing authorization header")
  private static let invalid = APIError(401, "invalid-credentials", "Invalid token")
  private static let anonymous = Caller(
    kind: .anonymous, id: nil, tenant: TenantID.standard.uuid, rights: Set(Scope.standard.map(\.rawValue)))

  /// The operator may speak for any tenant, by name.
  private func operatorCaller(_ request: HTTPRequest) throws(APIError) -> Caller {
    var tenant = TenantID.standard.uuid
    if let name = request.header("x-sidetone-tenant") {
      guard let found = identity.accounts.tenant(named: name) else { throw .notFound("tenant") }
      tenant = found.id
    }
    return Caller(
      kind: .operatorSocket, id: nil, tenant: tenant, rights: Set(Scope.allCases.map(\.rawValue)), name: "operator")
  }

  // MARK: Credentials

  /// Whoever the credential names; nil when there is none. A credential that is wrong is never overlooked for another.
  private func credential(_ request: HTTPRequest) throws(APIError) -> Caller? {
    guard identity.isLoaded else {
      throw .unavailable("state-unavailable", "The state store cannot be used now.", retryAfter: 5)
    }
    if let header = request.header("authorization") { return try bearer(header) }
    if let text = request.header("x-app-api-key") { return try key(text[...], .app) }
    if let text = request.header("x-api-key") { return try key(text[...], .user) }
    if queryCredentialPaths.contains(request.path), request.query != nil {
      let parameters = request.parameters
      if let ticket = parameters["ticket"] {
        guard let caller = identity.tickets.redeem(ticket) else { throw Self.invalid }
        return caller
      }
      if let text = parameters["api_key"] { return try key(text[...], nil) }
    }
    return try cookie(request)
  }

  private func bearer(_ header: String) throws(APIError) -> Caller {
    let scheme = header.utf8.prefix(7)
    guard scheme.count == 7, scheme.elementsEqual("bearer ".utf8, by: { $0 | 32 == $1 }) else { throw Self.invalid }
    // RFC 9110 §11.4: one blank or more.
    let text = header[scheme.endIndex...].drop { $0 == " " }
    guard text.utf8.contains(46) else { return try key(text, .relay) }
    return try person(String(text).trimmed).caller
  }

  private func key(_ text: Substring, _ kind: StoredKey.Kind?) throws(APIError) -> Caller {
    guard let key = identity.keys.find(text, kind) else { throw Self.invalid }
    var rights = key.rights
    if let id = key.userID {
      guard let user = identity.accounts.user(id, of: key.tenant), user.disabledAt == nil else { throw Self.invalid }
      rights = user.mustChangePassword ? [] : Set(user.role.rights.map(\.rawValue))
    }
    return Caller(
      kind: .key, id: key.id, tenant: key.tenant, rights: rights, name: key.hint, validUntil: key.expiresAt)
  }

  private func person(_ token: String) throws(APIError) -> (caller: Caller, session: Session) {
    do throws(JWTFault) {
      let session = try identity.sessions.verify(token)
      guard let user = identity.accounts.user(of: session) else { throw .expired }
      let rights: Set<Scope> = user.mustChangePassword ? [] : user.role.rights
      let caller = Caller(
        kind: .user, id: user.id, tenant: user.tenant, rights: Set(rights.map(\.rawValue)), name: user.username,
        validUntil: session.expiresAt, sessionID: session.id)
      return (caller, session)
    } catch { throw Self.invalid }
  }

  /// The browser sends its cookie by itself, so a write must show that our page made it, and a WebSocket that our page
  /// opened it. A cookie that holds no longer is as good as none.
  private func cookie(_ request: HTTPRequest) throws(APIError) -> Caller? {
    guard let token = Self.cookie(in: request), let (caller, session) = try? person(token) else { return nil }
    if request.header("upgrade") != nil, !Self.isSameOrigin(request) {
      throw APIError(403, "foreign-origin", "A page of another site may not open this.")
    }
    if !["GET", "HEAD"].contains(request.method) {
      let token = request.header("x-csrf-token") ?? ""
      guard identity.sessions.isCSRFToken(token, of: session) else {
        throw APIError(403, "csrf", "The request lacks the page's token; reload the page.")
      }
    }
    return caller
  }

  package static func cookie(in request: HTTPRequest) -> String? {
    for (name, value) in request.headers where name.isEqualWithoutCase(to: "cookie") {
      for pair in value.split(separator: ";") {
        let parts = String(pair).trimmed.split(separator: "=", maxSplits: 1)
        if parts.count == 2, parts[0] == cookieName { return String(parts[1]) }
      }
    }
    return nil
  }

  private static func isSameOrigin(_ request: HTTPRequest) -> Bool {
    guard let origin = request.header("origin"), let host = request.header("host") else { return false }
    return origin.firstRange(of: "://").map { origin[$0.upperBound...] == host } ?? false
  }

  // MARK: Limits

  private func counted(_ caller: Caller) throws(APIError) -> Caller {
    guard let id = caller.id else { return caller }
    var caller = caller
    let verdict = limiter.take(id, at: Moment.now())
    caller.allowance = verdict.allowance
    guard let seconds = verdict.retryAfter else { return caller }
    let limit = verdict.allowance.limit
    var error = APIError(429, "rate-limited", "More than \(limit) requests a minute. Wait, then try again.")
    (error.retryAfter, error.allowance) = (seconds, verdict.allowance)
    throw error
  }
}
