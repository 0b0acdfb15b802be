// Identity as the agent holds it: keys, people, sessions and tickets, loaded from the state together and kept in
// memory. While the state cannot be read at the start, nobody is let in and the load is tried again.

package import Basics
package import Loop
package import Store

@LoopActor
package final class IdentityRoom {
  package let keys: KeyRing
  package let accounts: Accounts
  package let sessions: Sessions
  package let tickets = Tickets()
  package let audit: AuditLog
  package private(set) var isLoaded = false
  private var keyLimiter: RateLimiter
  private let keyTurn = Turn()
  private let store: IdentityStore
  private let state: Store

  /// - Parameters:
  ///   - passwordCost: bcrypt's; 12 but for tests.
  ///   - worker: where passwords are checked: behind everything else.
  package init(
    _ state: Store, secret: ServerSecret, loginsPerMinute: Int, keysPerHour: Int = 10, passwordCost: Int = 12,
    worker: Worker
  ) {
    keyLimiter = RateLimiter(perHour: keysPerHour)
    let store = IdentityStore(state)
    (self.store, self.state) = (store, state)
    sessions = Sessions(secret: secret, store: store)
    keys = KeyRing(store: store, secret: secret)
    accounts = Accounts(
      store: store, sessions: sessions, loginsPerMinute: loginsPerMinute, cost: passwordCost, worker: worker)
    audit = AuditLog(state)
    accounts.onStale = { [unowned self] in reload() }
  }

  /// Called with each credential that ended: a key, a person, or one session of theirs. A person's keys end with what
  /// ends their sessions, as far as open connections go: they come again with the rights of now.
  package func onEnded(_ body: @escaping @LoopActor (UUID) -> Void) {
    let ended: @LoopActor (UUID) -> Void = { [tickets] id in
      tickets.forget(id)
      body(id)
    }
    keys.onRevoked = ended
    accounts.onEnded = { [keys] user in
      ended(user)
      for key in keys.ids(of: user) { ended(key) }
    }
    sessions.onEnded = { [accounts] session in
      if let session { ended(session) } else { for user in accounts.everybody { ended(user) } }
    }
  }

  /// Reads everything anew: another agent on the same state was found to have changed it.
  private func reload() {
    LoopActor.begin { [self] in
      // One bounded read; when it fails, the next change that is refused asks again.
      try? await load()
    }
  }

  package func load() async throws(StoreError) {
    try await state.migrate()
    let all = try await store.everything()
    keys.take(all.keys)
    accounts.take(all.tenants, all.users)
    sessions.take(all.signing, ended: all.ended)
    isLoaded = true
  }

  /// Counts a key that somebody is about to make.
  /// - Returns: seconds until they may; nil when now.
  package func waitForKey(of maker: UUID) -> Int? {
    keyLimiter.take(maker, at: Moment.now()).retryAfter
  }

  /// Makes the present key of a user, or the next version of it.
  package func renewUserKey(_ user: StoredUser, by visitor: Visitor) async throws -> Secret<String> {
    await keyTurn.begin()
    defer { keyTurn.end() }
    let user = try await accounts.nextKeyVersion(of: user, by: visitor)
    try await keys.install(userKeyOf: user, by: visitor)
    return keys.userKey(of: user)
  }
}
