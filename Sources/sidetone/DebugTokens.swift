// sidetone debug jws-verify: the shipped verifier of tokens, a JSON line in, a verdict out.
//
//   {"token":"…","key":"<base64url>","issuer":"…","audience":"…","required_claims":["exp"],"leeway_seconds":0,"now":1760000000}
//
// The settings may stand in a member `verify`; the key may be `key` (base64url), `secret` (text) or a `jwk` of kind oct.
// Without issuer, audience, claims and clock only the signature is looked at: any payload will do.

internal import Basics
internal import Identity
internal import JSON
internal import Loop

extension Sidetone {
  static func verifyTokens() throws -> Int32 {
    while let line = readLine() {
      guard !line.trimmed.isEmpty else { continue }
      var answer = JSONWriter()
      answer.object { json in
        guard let request = try? JSONValue(parsing: Array(line.utf8)) else { return say("malformed", nil, to: &json) }
        do throws(JWTFault) {
          try verify(request)
          say(nil, request["id"], to: &json)
        } catch { say(error.rawValue, request["id"], to: &json) }
      }
      Files.print(answer.bytes + [10])
    }
    return Exit.ok
  }

  private static func say(_ reason: String?, _ id: JSONValue?, to json: inout JSONWriter) {
    if let id {
      json.key("id")
      id.write(to: &json)
    }
    json.field("verdict", reason == nil ? "accept" : "reject")
    json.field("reason", reason)
  }

  private static func verify(_ request: JSONValue) throws(JWTFault) {
    let settings = request["verify"] ?? request
    let token = (request["token"] ?? request["jws"])?.string ?? ""
    guard [nil, "HS256"].contains(settings["alg"]?.string) else { throw .algorithmNotAllowed }
    let key = key(request) ?? key(settings)
    var verifier = JWTVerifier { _ in key }
    let checksClaims = ["issuer", "audience", "required_claims", "now"].contains { name in
      (settings[name] ?? request[name]) != nil
    }
    guard checksClaims else {
      _ = try verifier.signedPayload(token)
      return
    }
    (verifier.issuer, verifier.audience) = (settings["issuer"]?.string, settings["audience"]?.string)
    verifier.requiredClaims = settings["required_claims"]?.array?.compactMap(\.string) ?? ["exp"]
    verifier.leewaySeconds = settings["leeway_seconds"]?.double ?? 0
    let now = (settings["now"] ?? request["now"])?.double ?? Double(Timestamp.now().microseconds) / 1e6
    _ = try verifier.verify(token, now: now)
  }

  private static func key(_ json: JSONValue) -> Secret<[UInt8]>? {
    let encoded =
      json["jwk"]?["k"] ?? json["key"]?["k"] ?? json["key_base64url"] ?? json["key"]?["base64url"] ?? json["key"]
    if let bytes = encoded?.string.flatMap({ Base64.decodeURL($0) }), !bytes.isEmpty { return Secret(bytes) }
    if let bytes = json["key_base64"]?.string.flatMap({ Base64.decode($0) }), !bytes.isEmpty { return Secret(bytes) }
    return json["secret"]?.string.map { Secret(Array($0.utf8)) }
  }
}
