// The [identity] section, and the limits of signing in.

package import Basics
package import Config

package struct IdentityConfig: Sendable {
  /// The operator's own; nil: the one this installation made for itself.
  package var secret: Secret<String>?
  package var loginsPerMinute = 5
  package var keysPerHour = 10

  package init() {}

  package init(reading reader: inout ConfigReader) {
    secret = reader.secret("identity", "secret")
    loginsPerMinute = reader.number("limits", "login_per_minute", default: 5, in: 1...1_000_000)
    keysPerHour = reader.number("limits", "keys_per_hour", default: 10, in: 1...1_000_000)
    if let secret, secret.reveal().utf8.count < ServerSecret.shortest {
      reader.fault("identity", "secret_file", "expected at least \(ServerSecret.shortest) characters")
    }
  }

  /// - Parameter path: where the installation keeps its own.
  package func serverSecret(keptAt path: String) throws -> ServerSecret {
    if let secret { return ServerSecret(Secret(Array(secret.reveal().utf8))) }
    return try ServerSecret.kept(at: path)
  }
}
