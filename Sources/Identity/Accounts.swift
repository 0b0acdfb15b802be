// The people of each tenant: who they are, how they sign in, what ends their sessions. Passwords are hashed on the
// worker, at low priority, a few at a time; who comes when the queue is full is told to come again.

package import Basics
internal import Crypto
package import Loop
internal import Store

/// Why something about an account was not done.
package enum AccountError: Error, Equatable {
  case wrongCredentials
  /// Right so far; the six digits are missing.
  case codeNeeded
  case locked(seconds: Int)
  /// Too many passwords are being checked.
  case busy
  case unavailable
  case badField(String, String)
  case nameTaken
  case notFound
  /// The tenant would be left without an administrator.
  case lastAdmin
  /// Another agent on the same state changed this account; it is read anew, and the same request may succeed now.
  case changedElsewhere
}

/// From where a request came, for the audit log and the throttle.
package struct Visitor: Sendable {
  package let name: String
  package let address: String
  package init(name: String, address: String) { (self.name, self.address) = (name, address) }

  func note(_ action: String, _ target: String = "", _ detail: String = "") -> AuditNote {
    AuditNote(actor: name, action: action, target: target, address: address, detail: detail)
  }
}

@LoopActor
package final class Accounts {
  private let store: IdentityStore
  package let sessions: Sessions
  private let passwords: PasswordWork
  private let turn = Turn()
  private var throttle: LoginThrottle
  private var users: [UUID: StoredUser] = [:]
  private var byName: [String: UUID] = [:]
  private var tenants: [UUID: StoredTenant] = [:]
  /// Told whose sessions ended, so that open connections end.
  package var onEnded: @LoopActor (UUID) -> Void = { _ in }
  /// What is in memory is no longer what the state says.
  var onStale: @LoopActor () -> Void = {}

  package init(store: IdentityStore, sessions: Sessions, loginsPerMinute: Int, cost: Int, worker: Worker) {
    (self.store, self.sessions) = (store, sessions)
    passwords = PasswordWork(worker: worker, cost: cost)
    throttle = LoginThrottle(perMinute: loginsPerMinute)
  }

  func take(_ tenants: [StoredTenant], _ users: [StoredUser]) {
    self.tenants = Dictionary(tenants.map { ($0.id, $0) }) { first, _ in first }
    self.users = Dictionary(users.map { ($0.id, $0) }) { first, _ in first }
    byName = Dictionary(users.map { ($0.username.asciiLowercased, $0.id) }) { first, _ in first }
  }

  // MARK: Looking

  package func user(_ id: UUID, of tenant: UUID) -> StoredUser? { users[id].flatMap { $0.tenant == tenant ? $0 : nil } }

  var everybody: [UUID] { Array(users.keys) }

  package func user(named name: String) -> StoredUser? { byName[name.asciiLowercased].flatMap { users[$0] } }

  package func users(of tenant: UUID) -> [StoredUser] {
    users.values.filter { $0.tenant == tenant }.sorted { $0.username < $1.username }
  }

  package var allTenants: [StoredTenant] { tenants.values.sorted { $0.name < $1.name } }

  package func tenant(named name: String) -> StoredTenant? { tenants.values.first { $0.name == name } }

  /// The user of a session that holds, or nil.
  package func user(of session: Session) -> StoredUser? {
    guard let user = users[session.userID], user.tenant == session.tenant, user.generation == session.generation,
      user.disabledAt == nil
    else { return nil }
    return user
  }

  // MARK: Signing in

  /// - Parameter code: the six digits, where the account has an authenticator.
  package func signIn(_ name: String, _ password: Secret<String>, code: String?, from visitor: Visitor)
    async throws(AccountError) -> StoredUser
  {
    let now = Moment.now()
    if let seconds = throttle.wait(account: name, address: visitor.address, at: now) {
      throw .locked(seconds: seconds)
    }
    let known = user(named: name)
    let isRight = try await passwords.check(password, known?.passwordHash)
    guard isRight, let known, known.disabledAt == nil else { throw refused(name, known, visitor) }
    if known.totpSecret != nil, code?.isEmpty ?? true { throw .codeNeeded }
    do throws(AccountError) {
      let user = try await change(
        known.id, of: known.tenant, visitor.note("login", known.username), endsSessions: false
      ) { user throws(AccountError) in
        // All may have changed while the password was checked and while others had their turn.
        guard user.passwordHash == known.passwordHash, user.disabledAt == nil else { throw .wrongCredentials }
        if let secret = user.totpSecret { user.totpLastStep = try Self.step(code, secret, after: user.totpLastStep) }
        user.lastLoginAt = Timestamp.now()
      }
      throttle.succeeded(account: name, address: visitor.address)
      return user
    } catch {
      if error == .wrongCredentials { throw refused(name, known, visitor) }
      throw error
    }
  }

  private static func step(_ code: String?, _ secret: Secret<[UInt8]>, after last: Int64?) throws(AccountError) -> Int64
  {
    let seconds = Timestamp.now().microseconds / 1_000_000
    guard let step = TOTP.step(of: code ?? "", secret: secret, at: seconds, after: last) else {
      throw .wrongCredentials
    }
    return step
  }

  private func refused(_ name: String, _ known: StoredUser?, _ visitor: Visitor) -> AccountError {
    let isLocked = throttle.failed(account: name, address: visitor.address, at: Moment.now())
    if let known {
      let note = visitor.note(isLocked ? "login.locked" : "login.failed", known.username)
      // Beside the answer, whose time would tell that the name is known; it ends with one bounded write.
      LoopActor.begin { [store] in try? await AuditLog(store.store).append(note, of: known.tenant) }
    }
    return .wrongCredentials
  }

  // MARK: The first administrator

  /// A token with which the first administrator of the default tenant is made, within a day. The one before is void.
  package func makeClaim() async throws -> Secret<String> {
    let token = "claim_" + Hex.encode(Random.bytes(20))
    try await store.insertClaim(
      Digest.sha256(Array(token.utf8)), until: Timestamp.now().adding(seconds: 86_400))
    return Secret(token)
  }

  package func claim(_ token: Secret<String>, username: String, password: Secret<String>, from visitor: Visitor)
    async throws(AccountError) -> StoredUser
  {
    // Counted by address alone: the token cannot be guessed, and a stranger must not lock it.
    let account = "claim from \(visitor.address)"
    if let seconds = throttle.wait(account: account, address: visitor.address, at: Moment.now()) {
      throw .locked(seconds: seconds)
    }
    let digest = Digest.sha256(Array(token.reveal().utf8))
    guard try await stored({ try await self.store.isClaimOpen(digest) }) else {
      throttle.failed(account: account, address: visitor.address, at: Moment.now())
      throw .wrongCredentials
    }
    try checkName(username)
    try checkRules(password, username)
    var user = Self.newUser(Self.homeTenant, username, .admin)
    user.passwordHash = try await passwords.hash(password)
    let (made, note) = (user, visitor.note("admin.claimed", username))
    guard try await stored({ try await self.store.claim(digest, for: made, note) }) else { throw .wrongCredentials }
    remember(made)
    return made
  }

  /// The tenant that exists from the first migration; who administers it administers the agent.
  package nonisolated static let homeTenant = UUID(high: 0x0000_0000_0000_8000, low: 0x8000_0000_0000_0001)

  // MARK: Changing

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

  // MARK: Helpers

  /// Changes a user: what `body` sees is what is written upon, since changes come one at a time.
  @discardableResult
  private func change(
    _ id: UUID, of tenant: UUID, _ note: AuditNote, endsSessions: Bool = true,
    _ body: (inout StoredUser) throws(AccountError) -> Void
  ) async throws(AccountError) -> StoredUser {
    await turn.begin()
    defer { turn.end() }
    guard let before = user(id, of: tenant) else { throw .notFound }
    var user = before
    try body(&user)
    let after = user
    guard try await stored({ try await self.store.update(after, of: before.generation, note) }) else {
      onStale()
      throw .changedElsewhere
    }
    users[id] = after
    if endsSessions { onEnded(id) }
    return after
  }

  private func remember(_ user: StoredUser) {
    users[user.id] = user
    byName[user.username.asciiLowercased] = user.id
  }

  private func stored<T>(_ body: () async throws -> T) async throws(AccountError) -> T {
    do {
      return try await body()
    } catch StoreError.constraint {
      throw .nameTaken
    } catch {
      throw .unavailable
    }
  }

  private static func newUser(_ tenant: UUID, _ username: String, _ role: Role) -> StoredUser {
    StoredUser(
      id: .random(), tenant: tenant, username: username, role: role, passwordHash: nil, generation: 1,
      mustChangePassword: false, keyVersion: 0, totpSecret: nil, totpLastStep: nil, disabledAt: nil,
      createdAt: Timestamp.now(),
      lastLoginAt: nil)
  }

  private func checkName(_ name: String, field: String = "username") throws(AccountError) {
    let isFine =
      (2...64).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122, 43, 45, 46, 64, 95: true
        default: false
        }
      }
    guard isFine else { throw .badField(field, "2 to 64 letters, digits and + - . @ _") }
    if field == "username", user(named: name) != nil { throw .nameTaken }
  }

  private func checkRules(_ password: Secret<String>, _ username: String) throws(AccountError) {
    if let fault = PasswordRules.fault(password.reveal(), username: username) { throw .badField("password", fault) }
  }
}
