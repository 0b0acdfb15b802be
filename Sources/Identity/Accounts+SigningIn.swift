// Proving who one is: by password and code, or, for the very first administrator, by the claim that installing showed.

package import Basics
internal import Crypto
internal import Loop

extension Accounts {
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

  static func step(_ code: String?, _ secret: Secret<[UInt8]>, after last: Int64?) throws(AccountError) -> Int64 {
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
}
