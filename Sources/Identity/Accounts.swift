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
  let store: IdentityStore
  package let sessions: Sessions
  let passwords: PasswordWork
  let turn = Turn()
  var throttle: LoginThrottle
  var users: [UUID: StoredUser] = [:]
  var byName: [String: UUID] = [:]
  var tenants: [UUID: StoredTenant] = [:]
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

  // MARK: Helpers

  /// Changes a user: what `body` sees is what is written upon, since changes come one at a time.
  @discardableResult
  func change(
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

  func remember(_ user: StoredUser) {
    users[user.id] = user
    byName[user.username.asciiLowercased] = user.id
  }

  func stored<T>(_ body: () async throws -> T) async throws(AccountError) -> T {
    do {
      return try await body()
    } catch StoreError.constraint {
      throw .nameTaken
    } catch {
      throw .unavailable
    }
  }

  static func newUser(_ tenant: UUID, _ username: String, _ role: Role) -> StoredUser {
    StoredUser(
      id: .random(), tenant: tenant, username: username, role: role, passwordHash: nil, generation: 1,
      mustChangePassword: false, keyVersion: 0, totpSecret: nil, totpLastStep: nil, disabledAt: nil,
      createdAt: Timestamp.now(),
      lastLoginAt: nil)
  }

  func checkName(_ name: String, field: String = "username") throws(AccountError) {
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

  func checkRules(_ password: Secret<String>, _ username: String) throws(AccountError) {
    if let fault = PasswordRules.fault(password.reveal(), username: username) { throw .badField("password", fault) }
  }
}
