// The administrator's surface: decode, ask identity or a port, encode. Who may see has `admin:read`, who may change has
// `admin`; a page shows only what its reader may do.

internal import Basics
package import HTTP
package import Health
package import Identity
internal import JSON
package import Loop

@LoopActor
package struct AdminRoutes {
  let identity: IdentityRoom
  let health: HealthBoard
  let ports: AdminPorts
  /// Figures are counted for one at a time: each question holds up the appends a little.
  let counting = Turn()

  package init(identity: IdentityRoom, health: HealthBoard, ports: AdminPorts) {
    (self.identity, self.health, self.ports) = (identity, health, ports)
  }

  package var routes: [Route] {
    sessionRoutes + ownAccountRoutes + overviewRoutes + callRoutes + keyRoutes + userRoutes + operatorRoutes
      + WebPages.routes
  }

  static let see = Access.right(Scope.adminRead.rawValue)
  static let change = Access.right(Scope.admin.rawValue)

  func route(
    _ method: String, _ path: String, _ summary: String, _ access: Access, parameters: [Route.Parameter] = [],
    takes: Schema? = nil, status: Int = 200, gives: Schema? = nil,
    _ handler: @escaping @LoopActor @Sendable (RequestContext) async throws(APIError) -> HTTPReply
  ) -> Route {
    let inPath = path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
      Route.Parameter(String($0.dropFirst().dropLast()), "string", "Which one")
    }
    return Route(
      method, "/admin/api" + path, summary, tag: "admin", access: access, parameters: inPath + parameters,
      takes: takes, status: status, gives: gives, handler: .later(handler))
  }

  // MARK: Reading requests

  func visitor(_ context: RequestContext) -> Visitor {
    Visitor(name: context.caller?.name ?? "anonymous", address: context.client)
  }

  func caller(_ context: RequestContext) throws(APIError) -> Caller {
    guard let caller = context.caller else { throw APIError(401, "no-credentials", "Missing authorization header") }
    return caller
  }

  /// The user of the session that asks.
  func me(_ context: RequestContext) throws(APIError) -> StoredUser {
    guard let caller = context.caller, caller.kind == .user, let id = caller.id,
      let user = identity.accounts.user(id, of: caller.tenant)
    else { throw APIError(401, "no-credentials", "Missing authorization header") }
    return user
  }

  /// Who administers the default tenant administers the agent; what is everybody's is not for the others.
  func wholeAgent(_ context: RequestContext) throws(APIError) {
    guard try caller(context).tenant == Accounts.homeTenant else {
      throw APIError(
        403, "not-your-tenant", "Only administrators of the default tenant see and change the agent itself.")
    }
  }

  /// Nobody hands out, or takes away, rights that they lack.
  func mayRule(_ rights: Set<String>, _ context: RequestContext) throws(APIError) {
    guard rights.isSubset(of: try caller(context).rights) else {
      throw APIError(403, "no-right", "This reaches further than your own rights.")
    }
  }

  func id(_ context: RequestContext, _ what: String) throws(APIError) -> UUID {
    guard let id = context.path["id"].flatMap({ UUID($0) }) else { throw .notFound(what) }
    return id
  }

  func text(_ body: JSONValue, _ name: String) throws(APIError) -> String {
    guard let text = try optionalText(body, name) else { throw .badField(name, "needed") }
    return text
  }

  func optionalText(_ body: JSONValue, _ name: String) throws(APIError) -> String? {
    guard let value = body[name], value != .null else { return nil }
    guard let text = value.string, text.utf8.count <= 1024 else { throw .badField(name, "expected text") }
    return text
  }

  func optionalFlag(_ body: JSONValue, _ name: String) throws(APIError) -> Bool? {
    guard let value = body[name], value != .null else { return nil }
    guard let flag = value.bool else { throw .badField(name, "expected true or false") }
    return flag
  }

  func time(_ body: JSONValue, _ name: String) throws(APIError) -> Timestamp? {
    guard let text = try optionalText(body, name), !text.isEmpty else { return nil }
    guard let time = Timestamp(rfc3339: text) else { throw .badField(name, "expected an RFC 3339 time") }
    return time
  }

  func role(_ body: JSONValue, _ name: String = "role") throws(APIError) -> Role? {
    guard let text = try optionalText(body, name) else { return nil }
    guard let role = Role(rawValue: text) else {
      throw .badField(name, "expected one of \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return role
  }

  // MARK: Saying no

  static let unavailable = APIError.unavailable(
    "state-unavailable", "The state store cannot be used now.", retryAfter: 5)

  static func refusal(_ error: AccountError) -> APIError {
    switch error {
    case .wrongCredentials: return APIError(401, "invalid-credentials", "Invalid credentials")
    case .codeNeeded:
      return APIError(401, "code-needed", "Enter the six digits of your authenticator.")
    case .locked(let seconds):
      var refusal = APIError(429, "login-locked", "Too many attempts. Wait \(seconds) s, then try again.")
      refusal.retryAfter = seconds
      return refusal
    case .busy: return .unavailable("busy", "Too many passwords are being checked. Try again.", retryAfter: 2)
    case .unavailable: return unavailable
    case .badField(let name, let reason): return .badField(name, reason)
    case .nameTaken: return APIError(409, "name-taken", "This name is taken.")
    case .notFound: return .notFound("user")
    case .changedElsewhere:
      return APIError(409, "changed-elsewhere", "Somebody changed this account at the same time. Try again.")
    case .lastAdmin:
      return APIError(409, "last-admin", "This is the last administrator; make another one first.")
    }
  }

  static func asking<T>(_ body: () async throws(AccountError) -> T) async throws(APIError) -> T {
    do throws(AccountError) { return try await body() } catch { throw refusal(error) }
  }

  /// For what only the state store or a field can refuse.
  static func storing<T>(_ body: () async throws -> T) async throws(APIError) -> T {
    do {
      return try await body()
    } catch let error as KeyError {
      throw .badField(error.field, error.reason)
    } catch let error as AccountError {
      throw refusal(error)
    } catch {
      throw unavailable
    }
  }

  // MARK: Answering

  static func object(status: Int = 200, _ write: (inout JSONWriter) -> Void) -> HTTPReply {
    .response(.json(status: status) { json in json.object { write(&$0) } })
  }

  /// The rows as `data`, with what else the answer says.
  static func list<Row>(
    _ rows: [Row], more: (inout JSONWriter) -> Void = { _ in }, _ write: (Row, inout JSONWriter) -> Void
  ) -> HTTPReply {
    object { json in
      json.key("data")
      json.array { json in for row in rows { write(row, &json) } }
      more(&json)
    }
  }

  static let empty = HTTPReply.response(HTTPResponse(status: 204))
}
