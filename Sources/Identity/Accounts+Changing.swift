// Users, their passwords, roles and second factors, and tenants: each change is checked here and told to the audit.

package import Basics
internal import Crypto
internal import Loop

extension Accounts {
  package func create(
    _ username: String, role: Role, password: Secret<String>, tenant: UUID, mustChange: Bool, by visitor: Visitor
  ) async throws(AccountError) -> StoredUser {
    try checkName(username)
    try checkRules(password, username)
    var user = Self.newUser(tenant, username, role)
    user.passwordHash = try await passwords.hash(password)
    user.mustChangePassword = mustChange
    let (made, note) = (user, visitor.note("user.created", username, "role \(role.rawValue)"))
    try await stored { try await self.store.insert(made, note) }
    remember(made)
    return made
  }

  /// Ends every session of the user, the one that asks included.
  package func changePassword(
    _ user: StoredUser, from current: Secret<String>, to new: Secret<String>, by visitor: Visitor
  )
    async throws(AccountError)
  {
    if let seconds = throttle.wait(account: user.username, address: visitor.address, at: Moment.now()) {
      throw .locked(seconds: seconds)
    }
    guard try await passwords.check(current, user.passwordHash) else {
      throttle.failed(account: user.username, address: visitor.address, at: Moment.now())
      throw .wrongCredentials
    }
    guard current != new else { throw .badField("new_password", "must differ from the current one") }
    try await setPassword(
      user.id, of: user.tenant, to: new, mustChange: false, replacing: user.passwordHash, by: visitor)
  }

  /// - Parameter old: the hash that must still be the user's; nil for whoever need not know it.
  package func setPassword(
    _ id: UUID, of tenant: UUID, to password: Secret<String>, mustChange: Bool, replacing old: String? = nil,
    by visitor: Visitor
  ) async throws(AccountError) {
    guard let user = user(id, of: tenant) else { throw .notFound }
    try checkRules(password, user.username)
    let hash = try await passwords.hash(password)
    try await change(id, of: tenant, visitor.note("user.password", user.username)) { user throws(AccountError) in
      guard old == nil || user.passwordHash == old else { throw .wrongCredentials }
      user.passwordHash = hash
      user.mustChangePassword = mustChange
      user.generation += 1
    }
  }

  /// - Parameters: nil leaves as it is. Another role and being disabled end the user's sessions.
  package func update(_ id: UUID, of tenant: UUID, role: Role?, isDisabled: Bool?, by visitor: Visitor)
    async throws(AccountError) -> StoredUser
  {
    guard let before = user(id, of: tenant) else { throw .notFound }
    let said = [role.map { "role \($0.rawValue)" }, isDisabled.map { $0 ? "disabled" : "enabled" }]
    let detail = said.compactMap(\.self).joined(separator: ", ")
    return try await change(id, of: tenant, visitor.note("user.updated", before.username, detail)) {
      user throws(AccountError) in
      let losesAdmin = user.role == .admin && (role ?? .admin != .admin || isDisabled == true)
      if losesAdmin, isLastAdmin(user) { throw .lastAdmin }
      if let role { user.role = role }
      if let isDisabled { user.disabledAt = isDisabled ? user.disabledAt ?? Timestamp.now() : nil }
      user.generation += 1
    }
  }

  package func delete(_ id: UUID, of tenant: UUID, by visitor: Visitor) async throws(AccountError) {
    await turn.begin()
    defer { turn.end() }
    guard let user = user(id, of: tenant) else { throw .notFound }
    if user.role == .admin, isLastAdmin(user) { throw .lastAdmin }
    try await stored { try await self.store.delete(user, visitor.note("user.deleted", user.username)) }
    (users[id], byName[user.username.asciiLowercased]) = (nil, nil)
    onEnded(id)
  }

  private func isLastAdmin(_ user: StoredUser) -> Bool {
    !users.values.contains {
      $0.tenant == user.tenant && $0.role == .admin && $0.disabledAt == nil && $0.id != user.id
    }
  }

  /// A secret for an authenticator app; it counts once a code of it was given.
  package func proposeTOTP() -> Secret<[UInt8]> { Secret(Random.bytes(20)) }

  package func setTOTP(_ user: StoredUser, _ secret: Secret<[UInt8]>?, code: String, by visitor: Visitor)
    async throws(AccountError)
  {
    if let seconds = throttle.wait(account: user.username, address: visitor.address, at: Moment.now()) {
      throw .locked(seconds: seconds)
    }
    let action = secret == nil ? "user.totp.off" : "user.totp.on"
    do throws(AccountError) {
      try await change(user.id, of: user.tenant, visitor.note(action, user.username), endsSessions: false) {
        user throws(AccountError) in
        // One that is on is turned off with its own code first.
        guard secret == nil || user.totpSecret == nil, let proof = secret ?? user.totpSecret else { throw .nameTaken }
        let step = try Self.step(code, proof, after: user.totpLastStep)
        (user.totpSecret, user.totpLastStep) = (secret, secret == nil ? nil : step)
      }
    } catch {
      guard error == .wrongCredentials else { throw error }
      throttle.failed(account: user.username, address: visitor.address, at: Moment.now())
      throw .badField("code", "not the present code of this authenticator")
    }
  }

  func nextKeyVersion(of user: StoredUser, by visitor: Visitor) async throws(AccountError) -> StoredUser {
    try await change(user.id, of: user.tenant, visitor.note("user.key", user.username), endsSessions: false) { user in
      user.keyVersion += 1
    }
  }

  package func createTenant(_ name: String, by visitor: Visitor) async throws(AccountError) -> StoredTenant {
    try checkName(name, field: "name")
    guard tenant(named: name) == nil else { throw .nameTaken }
    let tenant = StoredTenant(id: .random(), name: name, createdAt: Timestamp.now())
    try await stored { try await self.store.insert(tenant, visitor.note("tenant.created", name)) }
    tenants[tenant.id] = tenant
    return tenant
  }
}
