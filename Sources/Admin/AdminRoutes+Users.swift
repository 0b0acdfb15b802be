// The people of a tenant, the audit log, and what only the operator does.

internal import Basics
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension AdminRoutes {
  var userRoutes: [Route] {
    [
      route("GET", "/users", "Everybody who may sign in", Self.see, gives: AdminSchema.users, listUsers),
      route(
        "POST", "/users", "Add somebody; they change the password when they first sign in", Self.change,
        takes: AdminSchema.newUser, status: 201, gives: AdminSchema.user, createUser),
      route(
        "PATCH", "/users/{id}", "Change a role, a password, or whether somebody may sign in", Self.change,
        takes: AdminSchema.userChange, gives: AdminSchema.user, updateUser),
      route("DELETE", "/users/{id}", "Remove somebody and end their sessions", Self.change, status: 204, deleteUser),
      route(
        "GET", "/audit", "Who did what, newest first", Self.see,
        parameters: [
          .init("before", "integer", "Entries below this number"),
          .init("limit", "integer", "At most this many, 1 to 500"),
        ], gives: AdminSchema.audit, audit),
    ]
  }

  var operatorRoutes: [Route] {
    [
      route(
        "POST", "/claims", "A token that makes the first administrator", .operatorOnly, status: 201,
        gives: AdminSchema.claimToken, makeClaim),
      route("GET", "/tenants", "All tenants", .operatorOnly, gives: AdminSchema.tenants, listTenants),
      route(
        "POST", "/tenants", "Add a tenant", .operatorOnly, takes: AdminSchema.newTenant, status: 201,
        gives: AdminSchema.tenant, createTenant),
      route(
        "POST", "/signing-keys", "Sign sessions with a new key", .operatorOnly, takes: AdminSchema.signingKeys,
        status: 204, rotateSigningKeys),
      route(
        "GET", "/audit/verify", "Walk the chain of the audit log", .operatorOnly, gives: AdminSchema.auditVerdict,
        verifyAudit),
    ]
  }

  // MARK: Users

  private func listUsers(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let users = identity.accounts.users(of: try caller(context).tenant)
    return Self.list(users) { Self.write($0, to: &$1) }
  }

  private static func write(_ user: StoredUser, to json: inout JSONWriter) {
    json.object { json in
      json.field("id", user.id)
      json.field("username", user.username)
      json.field("role", user.role.rawValue)
      json.field("totp", user.totpSecret != nil)
      json.field("must_change_password", user.mustChangePassword)
      json.field("disabled_at", user.disabledAt)
      json.field("created_at", user.createdAt)
      json.field("last_login_at", user.lastLoginAt)
    }
  }

  private func createUser(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, body) = (try caller(context), visitor(context), try context.json())
    let (name, password) = (try text(body, "username"), Secret(try text(body, "password")))
    let (role, mustChange) = (try role(body), try optionalFlag(body, "must_change_password") ?? true)
    guard let role else { throw .badField("role", "needed") }
    try mayRule(Set(role.rights.map(\.rawValue)), context)
    let user = try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.create(
        name, role: role, password: password, tenant: caller.tenant, mustChange: mustChange, by: visitor)
    }
    return .response(.json(status: 201) { Self.write(user, to: &$0) })
  }

  private func updateUser(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, id) = (try caller(context), visitor(context), try id(context, "user"))
    let body = try context.json()
    let (role, isDisabled) = (try role(body), try optionalFlag(body, "disabled"))
    let password = try optionalText(body, "password").map { Secret($0) }
    try mayRule(try rights(id, caller, role), context)
    guard role != nil || isDisabled != nil || password != nil else {
      throw .badField("role", "give a role, disabled or a password")
    }
    try await Self.asking { () async throws(AccountError) in
      if let password {
        try await identity.accounts.setPassword(id, of: caller.tenant, to: password, mustChange: true, by: visitor)
      }
      if role != nil || isDisabled != nil {
        _ = try await identity.accounts.update(
          id, of: caller.tenant, role: role, isDisabled: isDisabled, by: visitor)
      }
    }
    guard let user = identity.accounts.user(id, of: caller.tenant) else { throw .notFound("user") }
    return .response(.json { Self.write(user, to: &$0) })
  }

  /// What somebody may, and what they are to be given.
  private func rights(_ id: UUID, _ caller: Caller, _ role: Role? = nil) throws(APIError) -> Set<String> {
    guard let user = identity.accounts.user(id, of: caller.tenant) else { throw .notFound("user") }
    return Set(user.role.rights.union(role?.rights ?? []).map(\.rawValue))
  }

  private func deleteUser(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, visitor, id) = (try caller(context), visitor(context), try id(context, "user"))
    try mayRule(try rights(id, caller), context)
    try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.delete(id, of: caller.tenant, by: visitor)
    }
    return Self.empty
  }

  // MARK: Audit

  private func audit(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let tenant = try caller(context).tenant
    let before = try context.integer("before", default: .max, in: 1...Int.max)
    let limit = try context.integer("limit", default: 100, in: 1...500)
    let entries = try await Self.storing {
      try await identity.audit.page(of: tenant, before: Int64(before), limit: limit)
    }
    return Self.object { json in
      json.key("data")
      json.array { json in for entry in entries { Self.write(entry, to: &json) } }
      json.field("next", entries.count == limit ? entries.last.map { String($0.number) } : nil)
    }
  }

  private static func write(_ entry: AuditEntry, to json: inout JSONWriter) {
    json.object { json in
      json.field("number", entry.number)
      json.field("at", entry.at)
      json.field("actor", entry.note.actor)
      json.field("action", entry.note.action)
      json.field("target", entry.note.target)
      json.field("address", entry.note.address)
      json.field("detail", entry.note.detail)
    }
  }

  private func verifyAudit(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let tenant = try caller(context).tenant
    let verdict = try await Self.storing { try await identity.audit.verify(of: tenant) }
    return Self.object { json in
      switch verdict {
      case .whole(let entries):
        json.field("whole", true)
        json.field("entries", entries)
      case .broken(let number):
        json.field("whole", false)
        json.field("broken_at", number)
      }
    }
  }

  // MARK: The operator

  private func makeClaim(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let token = try await Self.storing { try await identity.accounts.makeClaim() }
    return .response(.json(status: 201) { json in json.object { $0.field("token", token.reveal()) } })
  }

  private func listTenants(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let tenants = identity.accounts.allTenants
    return Self.list(tenants) { Self.write($0, to: &$1) }
  }

  private static func write(_ tenant: StoredTenant, to json: inout JSONWriter) {
    json.object { json in
      json.field("id", tenant.id)
      json.field("name", tenant.name)
      json.field("created_at", tenant.createdAt)
    }
  }

  private func createTenant(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (visitor, name) = (visitor(context), try text(try context.json(), "name"))
    let tenant = try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.createTenant(name, by: visitor)
    }
    return .response(.json(status: 201) { Self.write(tenant, to: &$0) })
  }

  private func rotateSigningKeys(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let endsSessions = try optionalFlag(try context.json(), "end_sessions") ?? false
    try await Self.storing { try await identity.sessions.rotate(endingSessions: endsSessions) }
    return Self.empty
  }
}
