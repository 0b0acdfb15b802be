// Which secrets sign? Each one that was replaced goes along until its own overlap is over, however often another follows.

package import Basics

package struct OlderSecret: Sendable, Hashable {
  let version: Int
  let until: Timestamp
}

extension DestinationRecord {
  /// A signature each in every request's header.
  private static let mostOlder = 3

  /// - Parameter until: how long the present secret goes along with the new one.
  package mutating func rotateSecret(until: Timestamp, at now: Timestamp) {
    if let before = previousUntil { olderSecrets.append(OlderSecret(version: secretVersion - 1, until: before)) }
    olderSecrets = olderSecrets.filter { $0.until > now }.suffix(Self.mostOlder)
    secretVersion += 1
    (previousUntil, updatedAt) = (until, now)
  }

  /// Newest first.
  package func signingVersions(at now: Timestamp) -> [Int] {
    let previous = previousUntil.map { [OlderSecret(version: secretVersion - 1, until: $0)] } ?? []
    return [secretVersion] + (previous + olderSecrets.reversed()).filter { $0.until > now }.map(\.version)
  }
}
