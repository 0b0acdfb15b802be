// For browsers that cannot set a header on a WebSocket: a word that opens one connection within half a minute, as
// whoever asked for it.

internal import Basics
internal import Crypto
package import HTTP
package import Loop

@LoopActor
package final class Tickets {
  package nonisolated static let lifetime: Duration = .seconds(30)
  private nonisolated static let limit = 10_000
  private var waiting: [String: (caller: Caller, until: Moment)] = [:]

  package init() {}

  /// Nil while too many are waiting to be used.
  package func issue(to caller: Caller) -> String? {
    let now = Moment.now()
    waiting = waiting.filter { $0.value.until > now }
    guard waiting.count < Self.limit else { return nil }
    let ticket = Hex.encode(Random.bytes(24))
    waiting[ticket] = (caller, now + Self.lifetime)
    return ticket
  }

  func redeem(_ ticket: String) -> Caller? {
    guard let found = waiting.removeValue(forKey: ticket), found.until > Moment.now() else { return nil }
    return found.caller
  }

  /// Of a credential that ended.
  func forget(_ id: UUID) { waiting = waiting.filter { $0.value.caller.id != id && $0.value.caller.sessionID != id } }
}
