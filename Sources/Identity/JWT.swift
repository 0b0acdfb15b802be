// Tokens that say who somebody is: compact JWS with HS256 (RFC 7515, RFC 7519). One algorithm, pinned by the verifier;
// what a token says of its own algorithm or key only ever refuses it.

package import Basics
internal import Crypto
package import JSON

/// Why a token is refused; for logs and codes, the caller learns only that it is.
package enum JWTFault: String, Error {
  case malformed
  case algorithmNotAllowed = "algorithm_not_allowed"
  case unsupportedCrit = "unsupported_crit"
  case unknownKey = "unknown_key"
  case badSignature = "bad_signature"
  case missingClaim = "missing_claim"
  case malformedClaim = "malformed_claim"
  case expired
  case notYetValid = "not_yet_valid"
  case badIssuer = "bad_issuer"
  case badAudience = "bad_audience"
}

/// What a token must be to be believed.
package struct JWTVerifier: Sendable {
  /// A token of more bytes than this is not looked at.
  package static let longest = 16_384

  /// The key for a token that names this `kid`; nil refuses it.
  package var key: @Sendable (_ kid: String?) -> Secret<[UInt8]>?
  package var issuer: String?
  package var audience: String?
  package var requiredClaims: [String] = ["exp"]
  package var leewaySeconds = 0.0

  package init(key: @escaping @Sendable (String?) -> Secret<[UInt8]>?) { self.key = key }

  /// The claims of a token that holds at `now` (Unix seconds).
  package func verify(_ token: String, now: Double) throws(JWTFault) -> JSONValue {
    let payload = try signedPayload(token)
    guard let claims = try? JSONValue(parsing: payload), claims.members != nil else { throw .malformed }
    try check(claims, now)
    return claims
  }

  /// The payload, once the signature is found to be ours.
  package func signedPayload(_ token: String) throws(JWTFault) -> [UInt8] {
    guard token.utf8.count <= Self.longest else { throw .malformed }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let head = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
      let header = try? JSONValue(parsing: head), header.members != nil
    else { throw .malformed }
    guard header["alg"]?.string == "HS256" else { throw .algorithmNotAllowed }
    if header["crit"] != nil { throw .unsupportedCrit }
    guard let signature = Base64.decodeURL(parts[2]) else { throw .malformed }
    guard let key = key(header["kid"]?.string) else { throw .unknownKey }
    let signed = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    guard isEqualInConstantTime(Digest.hmacSHA256(signed, key: key), signature) else { throw .badSignature }
    return payload
  }

  private func check(_ claims: JSONValue, _ now: Double) throws(JWTFault) {
    for name in requiredClaims where claims[name] == nil || claims[name] == .null { throw .missingClaim }
    if let expires = try time(claims, "exp"), now >= expires + leewaySeconds { throw .expired }
    if let begins = try time(claims, "nbf"), now < begins - leewaySeconds { throw .notYetValid }
    _ = try time(claims, "iat")
    if let issuer, claims["iss"]?.string != issuer { throw .badIssuer }
    if let audience {
      let named = claims["aud"]?.array?.compactMap(\.string) ?? [claims["aud"]?.string].compactMap(\.self)
      guard named.contains(audience) else { throw .badAudience }
    }
  }

  private func time(_ claims: JSONValue, _ name: String) throws(JWTFault) -> Double? {
    guard let value = claims[name], value != .null else { return nil }
    guard let seconds = value.double, seconds.isFinite else { throw .malformedClaim }
    return seconds
  }
}

package enum JWT {
  /// A signed token of these claims.
  package static func sign(kid: String, key: Secret<[UInt8]>, _ claims: (inout JSONWriter) -> Void) -> String {
    var head = JSONWriter()
    head.object { json in
      json.field("alg", "HS256")
      json.field("kid", kid)
      json.field("typ", "JWT")
    }
    var body = JSONWriter()
    body.object { claims(&$0) }
    let signed = Base64.encodeURL(head.bytes) + "." + Base64.encodeURL(body.bytes)
    return signed + "." + Base64.encodeURL(Digest.hmacSHA256(Array(signed.utf8), key: key))
  }
}
