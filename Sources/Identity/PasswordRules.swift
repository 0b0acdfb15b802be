// What may be a password: long enough, not cut by bcrypt, and not one of those that are tried first.

internal import Basics
internal import Crypto

package enum PasswordRules {
  package static let shortest = 12

  /// Why this cannot be the password of `username`; nil when it can.
  package static func fault(_ password: String, username: String) -> String? {
    let bytes = Array(password.utf8)
    if bytes.count > Bcrypt.longestPassword {
      return "at most \(Bcrypt.longestPassword) bytes: bcrypt would ignore the rest"
    }
    if bytes.contains(where: { $0 == 0 }) { return "without NUL characters" }
    if password.count < shortest { return "at least \(shortest) characters" }
    let plain = password.asciiLowercased
    if Set(plain).count < 5 { return "more than a few characters repeated" }
    if !username.isEmpty, plain.contains(username.asciiLowercased), password.count < username.count + 8 {
      return "not built around the user name"
    }
    if isRun(bytes) { return "not a run along the keyboard or the alphabet" }
    if common.contains(where: { plain.hasPrefix($0) && plain.count < $0.count + 6 }) {
      return "not one of the passwords that are tried first"
    }
    return nil
  }

  /// Most steps from character to character are the same one.
  private static func isRun(_ bytes: [UInt8]) -> Bool {
    let steps = zip(bytes, bytes.dropFirst()).map { Int($1) - Int($0) }
    return steps.count { abs($0) <= 1 } >= steps.count - 2
  }

  private static let common = [
    "password", "passw0rd", "p@ssword", "p@ssw0rd", "admin123", "administrator", "qwertyuiop", "qwerty123456",
    "letmein", "welcome", "iloveyou", "changeme", "1q2w3e4r", "1qaz2wsx", "zaq12wsx", "asterisk", "sidetone", "3cx",
    "123456", "987654", "abc123", "monkey", "dragon", "football", "baseball", "sunshine", "princess", "trustno1",
    "superman", "whatever", "starwars", "computer", "correcthorsebatterystaple",
  ]
}
