// The one door: from a request's credential to a caller with rights, or a refusal.

internal import Basics
internal import CallModel
package import HTTP
package import Loop
internal import Store

@LoopActor
package final class Gate {
  private let keys: KeyRing
  private let allowsAnonymousRead: Bool
  private var limiter: RateLimiter
  /// Paths on which a credential may stand in the query, because browsers cannot set headers there.
  private let queryCredentialPaths: Set<String>

  package init(keys: KeyRing, allowsAnonymousRead: Bool, requestsPerMinute: Int, queryCredentialPaths: Set<String>) {
    (self.keys, self.allowsAnonymousRead) = (keys, allowsAnonymousRead)
    self.queryCredentialPaths = queryCredentialPaths
    limiter = RateLimiter(perMinute: requestsPerMinute)
  }

  /// - Parameter peer: the address, or `operator` for the socket in the runtime folder.
  package func authorise(_ request: HTTPRequest, _ access: Access, peer: String) throws(APIError) -> Caller? {
    let right: String
    switch access {
    case .open: return nil
    case .loopbackOr(let name):
      if ["127.0.0.1", "::1", "operator"].contains(peer), request.header("x-real-ip") == nil,
        request.header("x-forwarded-for") == nil
      {
        return nil
      }
      right = name
    case .right(let name): right = name
    }
    if peer == "operator" { return Self.operatorCaller }
    guard var caller = try caller(of: request) else {
      if allowsAnonymousRead, Scope.standard.contains(where: { $0.rawValue == right }) { return Self.anonymous }
      throw APIError(401, "no-credentials", "Missing authorization header")
    }
    guard caller.rights.contains(right) else {
      throw APIError(403, "no-right", "This key lacks the scope \(right).")
    }
    try count(&caller)
    return caller
  }

  private static let operatorCaller = Caller(
    kind: .operatorSocket, id: nil, tenant: TenantID.standard.uuid, rights: Set(Scope.allCases.map(\.rawValue)))
  private static let anonymous = Caller(
    kind: .anonymous, id: nil, tenant: TenantID.standard.uuid, rights: Set(Scope.standard.map(\.rawValue)))

  private func caller(of request: HTTPRequest) throws(APIError) -> Caller? {
    let invalid = APIError(401, "invalid-credentials", "Invalid token")
    if let header = request.header("authorization") {
      let parts = header.split(separator: " ", maxSplits: 1)
      guard parts.count == 2, String(parts[0]).isEqualWithoutCase(to: "bearer"),
        let key = keys.find(String(parts[1]).trimmed)
      else { throw invalid }
      return Self.caller(key)
    }
    guard queryCredentialPaths.contains(request.path), request.query != nil else { return nil }
    let parameters = request.parameters
    if let ticket = parameters["ticket"] {
      guard let key = keys.redeem(ticket) else { throw invalid }
      return Self.caller(key)
    }
    if let text = parameters["api_key"] {
      guard let key = keys.find(text) else { throw invalid }
      return Self.caller(key)
    }
    return nil
  }

  private static func caller(_ key: StoredKey) -> Caller {
    Caller(kind: .key, id: key.id, tenant: key.tenant, rights: Set(key.scopes))
  }

  private func count(_ caller: inout Caller) throws(APIError) {
    guard let id = caller.id else { return }
    let verdict = limiter.take(id, at: Moment.now())
    caller.responseHeaders = [
      ("RateLimit-Limit", String(verdict.limit)), ("RateLimit-Remaining", String(verdict.remaining)),
      ("RateLimit-Reset", String(verdict.resetSeconds)),
    ]
    guard !verdict.isAllowed else { return }
    var error = APIError(429, "rate-limited", "More than \(verdict.limit) requests a minute. Wait, then try again.")
    error.retryAfter = max(1, verdict.resetSeconds)
    error.headers = caller.responseHeaders
    throw error
  }
}
