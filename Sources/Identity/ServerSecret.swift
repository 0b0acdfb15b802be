// The one secret of an installation. Everything that must be secret and repeatable is derived from it, so that nothing
// of it stands in the state in clear.

package import Basics
internal import Crypto

package struct ServerSecretFault: Error, CustomStringConvertible {
  let path: String
  package var description: String {
    "\(path): expected a secret of at least \(ServerSecret.shortest) characters; remove the file to have one made"
  }
}

package struct ServerSecret: Sendable {
  /// What an operator's own secret must have at least.
  package static let shortest = 32

  private let secret: Secret<[UInt8]>

  package init(_ secret: Secret<[UInt8]>) { self.secret = secret }

  /// Reads the secret that this installation made for itself, or makes it.
  package static func kept(at path: String) throws -> ServerSecret {
    if Files.exists(path) {
      let text = String(decoding: try Files.read(path, limit: 4096), as: UTF8.self).trimmed
      guard text.utf8.count >= shortest else { throw ServerSecretFault(path: path) }
      return ServerSecret(Secret(Array(text.utf8)))
    }
    let text = Hex.encode(Random.bytes(32))
    try Files.writePrivate(path, Array((text + "\n").utf8))
    return ServerSecret(Secret(Array(text.utf8)))
  }

  /// 256 bits for one purpose; another purpose gets others.
  package func derived(_ purpose: String) -> Secret<[UInt8]> {
    Secret(Digest.hmacSHA256(Array(purpose.utf8), key: secret))
  }
}
