// The two databases the state may live in, behind the few things that a transaction needs. Statements are written once,
// with `?1 …` for values and in the SQL that both understand; what differs in migrations is translated.

internal import Basics

/// What the caller can do next.
package enum StoreError: Error, Equatable, CustomStringConvertible {
  /// It cannot be used now and may be usable later; nothing was changed.
  case unavailable(String)
  /// Whether it was done is not known: the connection broke while the transaction was being kept.
  case unknown(String)
  case constraint(String)
  case failed(String)

  package var description: String {
    switch self {
    case .unavailable(let text): "the state store cannot be used now: \(text)"
    case .unknown(let text): "the state store may or may not have kept it: \(text)"
    case .constraint(let text): "the state store refused it: \(text)"
    case .failed(let text): "the state store failed: \(text)"
    }
  }
}

/// One database connection on the store's thread.
protocol StoreEngine: AnyObject {
  /// Commits what `body` did, or nothing of it.
  func transaction<T>(_ body: (any StoreConnection) throws(StoreError) -> T) throws(StoreError) -> T
  func migrate(_ steps: [String], upTo version: Int) throws(StoreError)
}

/// Where the statements of one transaction go.
protocol StoreConnection: AnyObject {
  func rows(_ sql: StaticString, _ values: [SQLValue]) throws(StoreError) -> [[SQLValue]]
  /// Rows that the last statement changed.
  var changes: Int { get }
}
