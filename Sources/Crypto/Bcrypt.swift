// Passwords as bcrypt keeps them, through libxcrypt (docs/decisions/0009-libxcrypt.md).

package import Basics
internal import CCrypt
internal import Glibc

package enum Bcrypt {
  /// bcrypt reads no further than this; a longer password is refused instead of cut.
  package static let longestPassword = 72

  /// Takes some 250 ms at cost 12: never on the loop.
  /// - Returns: nil for a password that bcrypt would cut or end early.
  package static func hash(_ password: Secret<String>, cost: Int) -> String? {
    let bytes = Array(password.reveal().utf8)
    guard bytes.count <= longestPassword, !bytes.contains(0) else { return nil }
    let salt = Random.bytes(16).map(CChar.init(bitPattern:))
    var setting = [CChar](repeating: 0, count: 192)
    guard crypt_gensalt_rn("$2b$", UInt(cost), salt, Int32(salt.count), &setting, Int32(setting.count)) != nil else {
      return nil
    }
    return crypt(bytes, String(decoding: setting.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
  }

  /// Whether this is the password of the hash. A hash of another form is nobody's.
  package static func verify(_ password: [UInt8], _ hash: String) -> Bool {
    guard isWellFormed(hash), !password.contains(0), let made = crypt(password, hash) else { return false }
    return isEqualInConstantTime(Array(made.utf8), Array(hash.utf8))
  }

  /// `$2a$`, `$2b$` or `$2y$`, a cost from 04 to 31, and 53 characters of bcrypt's base 64.
  package static func isWellFormed(_ hash: String) -> Bool {
    let bytes = Array(hash.utf8)
    guard bytes.count == 60, bytes.starts(with: "$2".utf8), [97, 98, 121].contains(bytes[2]), bytes[3] == 36,
      bytes[6] == 36, (48...57).contains(bytes[4]), (48...57).contains(bytes[5])
    else { return false }
    let cost = Int(bytes[4] - 48) * 10 + Int(bytes[5] - 48)
    return (4...31).contains(cost) && bytes[7...].allSatisfy(isOfAlphabet)
  }

  private static func isOfAlphabet(_ byte: UInt8) -> Bool {
    switch byte {
    case 46...57, 65...90, 97...122: true
    default: false
    }
  }

  private static func crypt(_ password: [UInt8], _ setting: String) -> String? {
    let phrase = password.map(CChar.init(bitPattern:)) + [0]
    return withUnsafeTemporaryAllocation(
      byteCount: MemoryLayout<crypt_data>.size, alignment: MemoryLayout<crypt_data>.alignment
    ) { memory in
      memory.initializeMemory(as: UInt8.self, repeating: 0)
      guard let start = memory.baseAddress else { return nil }
      // The working memory held the password.
      defer { explicit_bzero(start, memory.count) }
      guard let out = crypt_rn(phrase, setting, start, Int32(memory.count)) else { return nil }
      return String(cString: out)
    }
  }
}
