// The six digits of an authenticator app: RFC 6238 with HMAC-SHA-1 and thirty seconds, as all of them do.

package import Basics
internal import Crypto

package enum TOTP {
  /// The step whose code this is: the present one, or one on either side for clocks that differ. Nil for no such step,
  /// or one that is not after `last`.
  package static func step(of code: String, secret: Secret<[UInt8]>, at seconds: Int64, after last: Int64?) -> Int64? {
    let now = seconds / 30
    guard code.utf8.count == 6 else { return nil }
    return [now, now - 1, now + 1].first { step in
      step > last ?? -1 && isEqualInConstantTime(Array(digits(secret, step).utf8), Array(code.utf8))
    }
  }

  /// RFC 4226 §5.3.
  package static func digits(_ secret: Secret<[UInt8]>, _ step: Int64) -> String {
    let counter = withUnsafeBytes(of: step.bigEndian) { Array($0) }
    let mac = Digest.hmacSHA1(counter, key: secret)
    let offset = Int(mac[19] & 15)
    let number = mac[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
    let text = String(number % 1_000_000)
    return String(repeating: "0", count: 6 - text.count) + text
  }

  /// The bytes of a secret as it was proposed; nil for what is no base 32.
  package static func secret(base32 text: String) -> [UInt8]? {
    var (out, bits, count): ([UInt8], Int, Int) = ([], 0, 0)
    for byte in text.utf8 {
      guard let value = alphabet.firstIndex(of: byte) else { return nil }
      (bits, count) = (bits << 5 | value, count + 5)
      guard count >= 8 else { continue }
      count -= 8
      out.append(UInt8(bits >> count & 255))
      bits &= 1 << count - 1
    }
    return out
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

  /// RFC 4648 §6 without padding, as apps take it.
  package static func base32(_ bytes: [UInt8]) -> String {
    var (out, bits, count): ([UInt8], Int, Int) = ([], 0, 0)
    for byte in bytes {
      (bits, count) = (bits << 8 | Int(byte), count + 8)
      while count >= 5 {
        count -= 5
        out.append(alphabet[bits >> count & 31])
        bits &= 1 << count - 1
      }
    }
    if count > 0 { out.append(alphabet[bits << (5 - count) & 31]) }
    return String(decoding: out, as: UTF8.self)
  }
}
