// How asking a 3CX fails.

package import HTTPClient

package enum ThreeCXFault: Error, CustomStringConvertible {
  case client(ClientFailure)
  /// The token endpoint said no to the credentials.
  case refused(String)
  /// The token endpoint answers, but not with tokens.
  case noTokens(String)
  /// - Parameters: the status, 3CX's own code, and its message.
  case status(Int, String, String)
  case garbage(String)

  package var description: String {
    switch self {
    case .client(let failure): failure.description
    case .refused(let text): text
    case .noTokens(let text): text
    case .status(let status, let code, let message): "\(status) \(code) \(message)"
    case .garbage(let text): text
    }
  }
}
