// Signing in and out. The cookie is the session; a page's writes carry its CSRF token as well.

internal import Basics
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension AdminRoutes {
  var sessionRoutes: [Route] {
    [
      route(
        "POST", "/claim", "Make the first administrator, with the token the installer printed", .open,
        takes: AdminSchema.claim, status: 201, gives: AdminSchema.session, claim),
      route(
        "POST", "/login", "Sign in", .open, takes: AdminSchema.login, gives: AdminSchema.session, signIn),
      route("POST", "/logout", "End this session", .signedIn, status: 204, signOut),
      route("GET", "/session", "Who is signed in, and what they may", .signedIn, gives: AdminSchema.session, session),
    ]
  }

  private func claim(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    guard identity.isLoaded else { throw Self.unavailable }
    let body = try context.json()
    let (token, name) = (Secret(try text(body, "token")), try text(body, "username"))
    let password = Secret(try text(body, "password"))
    let visitor = Visitor(name: name, address: context.client)
    let user = try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.claim(token, username: name, password: password, from: visitor)
    }
    return try await begin(user, context, status: 201)
  }

  private func signIn(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    guard identity.isLoaded else { throw Self.unavailable }
    let body = try context.json()
    let (name, password) = (try text(body, "username"), Secret(try text(body, "password")))
    let code = try optionalText(body, "code")
    let visitor = Visitor(name: name, address: context.client)
    let user = try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.signIn(name, password, code: code, from: visitor)
    }
    return try await begin(user, context, status: 200)
  }

  /// A new session for this user, in a cookie and, for programs, in the body.
  private func begin(_ user: StoredUser, _ context: RequestContext, status: Int) async throws(APIError) -> HTTPReply {
    let (token, session) = try await Self.storing { try await identity.sessions.issue(to: user) }
    var response = HTTPResponse.json(status: status) { json in
      json.object { json in
        write(user, session, to: &json)
        json.field("token", token.reveal())
      }
    }
    response.headers.append(
      ("Set-Cookie", Self.cookie(token.reveal(), context, seconds: Int(Sessions.lifetimeSeconds))))
    response.headers.append(("Cache-Control", "no-store"))
    return .response(response)
  }

  private func write(_ user: StoredUser, _ session: Session, to json: inout JSONWriter) {
    let rights: Set<Scope> = user.mustChangePassword ? [] : user.role.rights
    json.field("id", user.id)
    json.field("username", user.username)
    json.field("role", user.role.rawValue)
    json.field("tenant_id", user.tenant)
    json.key("rights")
    json.array { json in for right in rights.map(\.rawValue).sorted() { json.value(right) } }
    json.field("must_change_password", user.mustChangePassword)
    json.field("totp", user.totpSecret != nil)
    json.field("whole_agent", user.tenant == Accounts.homeTenant)
    json.field("csrf_token", identity.sessions.csrfToken(of: session))
    json.field("expires_at", session.expiresAt)
  }

  /// The path is that of the proxy's prefix, so that the cookie goes to no neighbour on the same host.
  private static func cookie(_ value: String, _ context: RequestContext, seconds: Int) -> String {
    let prefix = context.request.header("x-forwarded-prefix") ?? ""
    let isPath = prefix.hasPrefix("/") && prefix.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 59 && $0 != 44 }
    let path = isPath ? prefix + (prefix.hasSuffix("/") ? "" : "/") : "/"
    let isSecure = context.request.header("x-forwarded-proto") == "https"
    return
      "\(Gate.cookieName)=\(value); Path=\(path); Max-Age=\(seconds); HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
  }

  /// The token that this request came with, in the cookie or as a bearer.
  private func present(_ context: RequestContext) throws(APIError) -> Session {
    let bearer = context.request.header("authorization")?.split(separator: " ").last.map(String.init)
    guard let token = bearer ?? Gate.cookie(in: context.request),
      let session = try? identity.sessions.verify(token)
    else { throw APIError(401, "no-credentials", "Missing authorization header") }
    return session
  }

  private func session(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (user, session) = (try me(context), try present(context))
    return .response(.json { json in json.object { json in write(user, session, to: &json) } })
  }

  private func signOut(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let session = try present(context)
    try await Self.storing { try await identity.sessions.end(session) }
    var response = HTTPResponse(status: 204)
    response.headers.append(("Set-Cookie", Self.cookie("", context, seconds: 0)))
    return .response(response)
  }
}
