// The answer of `POST /connect/token`, and how long the token in it holds.

package import Basics
package import JSON

package struct TokenReply: Sendable {
  package let token: Secret<String>
  package let lifetime: Duration
  /// How far the PBX's clock is ahead of ours, where the token says when it was made; seconds.
  package let clockOffset: Double?

  /// - Parameter now: of our clock.
  package init?(_ json: JSONValue, now: Timestamp) {
    guard let text = json["access_token"]?.string, !text.isEmpty else { return nil }
    token = Secret(text)
    let claims = Self.claims(text)
    let said = json["expires_in"]?.double ?? 3600
    // Minutes up to 20.0.8, seconds since 20.0.9: no token lives for 300 minutes, and none for as few seconds.
    let stated = said < 300 ? said * 60 : said
    let (made, ends) = (claims?["iat"]?.double ?? claims?["nbf"]?.double, claims?["exp"]?.double)
    clockOffset = made.map { $0 - Double(now.microseconds) / 1e6 }
    // By the PBX's own clock where it is told, since ours may differ.
    let signed = ends.flatMap { ends in made.map { ends - $0 } }
    let seconds = [stated, signed].compactMap(\.self).filter { $0 > 0 }.min() ?? 3600
    lifetime = .seconds(min(seconds, 86_400))
  }

  /// The claims of a JWT, unverified: the token is the PBX's word to itself.
  private static func claims(_ token: String) -> JSONValue? {
    let parts = token.split(separator: ".")
    guard parts.count == 3, let bytes = Base64.decodeURL(String(parts[1])) else { return nil }
    return try? JSONValue(parsing: bytes)
  }
}
