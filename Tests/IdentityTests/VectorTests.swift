import Basics
import Crypto
import Foundation
import Identity
import JSON
import TestSupport
import Testing

/// What independent libraries say of tokens and hashes (Fixtures/identity).
struct VectorTests {
  private func load(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: try Files.read(Fixtures.root.appendingPathComponent("identity/\(name)").path))
  }

  @Test func everyTokenGetsItsVerdict() throws {
    let file = try load("jwt.json")
    let now = try #require(file["now"]?.double)
    let cases = try #require(file["cases"]?.array)
    var checked = 0
    for one in cases where one["verify"]?["alg"]?.string == "HS256" {
      let wanted = one["expect"]?.string
      var verdict = "accept"
      do throws(JWTFault) {
        _ = try verifier(one, file).verify(one["token"]?.string ?? "", now: now)
      } catch { verdict = "reject" }
      #expect(verdict == wanted, "\(one["id"]?.string ?? "")")
      checked += 1
    }
    #expect(checked > 80)
  }

  private func verifier(_ one: JSONValue, _ file: JSONValue) -> JWTVerifier {
    let name = one["verify"]?["key"]?.string ?? ""
    let key = file["keys"]?[name]?["base64url"]?.string.flatMap { Base64.decodeURL($0) }
    var verifier = JWTVerifier { _ in key.map { Secret($0) } }
    verifier.issuer = one["verify"]?["issuer"]?.string
    verifier.audience = one["verify"]?["audience"]?.string
    verifier.requiredClaims = one["verify"]?["required_claims"]?.array?.compactMap(\.string) ?? []
    verifier.leewaySeconds = one["verify"]?["leeway_seconds"]?.double ?? 0
    return verifier
  }

  @Test func everyPasswordGetsItsVerdict() throws {
    let cases = try #require(try load("bcrypt.json")["cases"]?.array)
    for one in cases {
      let password = try #require(one["password_base64"]?.string.flatMap { Base64.decode($0) })
      let verdict = Bcrypt.verify(password, one["hash"]?.string ?? "")
      #expect(verdict == one["verify"]?.bool, "\(one["id"]?.string ?? "")")
    }
    #expect(cases.count > 80)
  }

  /// RFC 6238, appendix B.
  @Test(arguments: [
    (59, "94287082"), (1_111_111_109, "07081804"), (1_234_567_890, "89005924"), (2_000_000_000, "69279037"),
  ])
  func anAuthenticatorsDigitsAreTheStandards(_ seconds: Int64, _ digits: String) {
    let secret = Secret(Array("12345678901234567890".utf8))
    #expect(TOTP.digits(secret, seconds / 30) == digits.suffix(6))
    #expect(TOTP.step(of: String(digits.suffix(6)), secret: secret, at: seconds, after: nil) == seconds / 30)
    #expect(TOTP.step(of: String(digits.suffix(6)), secret: secret, at: seconds, after: seconds / 30) == nil)
  }

  @Test func aSecretSurvivesItsBase32() {
    let secret = Random.bytes(20)
    #expect(TOTP.secret(base32: TOTP.base32(secret)) == secret)
    #expect(TOTP.base32(Array("foobar".utf8)) == "MZXW6YTBOI")
  }

  @Test(arguments: [
    ("short", "boss"), ("aaaaaaaaaaaaaaaa", "boss"), ("password1234", "boss"), ("abcdefghijklmnop", "boss"),
    ("supervisor-supe", "supervisor"), (String(repeating: "long ", count: 15), "boss"), ("with\0nul-and-more", "boss"),
  ])
  func aWeakPasswordIsRefused(_ password: String, _ name: String) {
    #expect(PasswordRules.fault(password, username: name) != nil)
  }

  @Test(arguments: ["violet-Tram-91", "correct horse battery", "пароль и ещё слово"])
  func aGoodPasswordIsTaken(_ password: String) { #expect(PasswordRules.fault(password, username: "boss") == nil) }
}
