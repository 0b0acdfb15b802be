// What the bytes of a head may be.

internal import Basics

enum HTTPGrammar {
  /// RFC 9110 §5.6.2.
  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122: true
    case 33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126: true
    default: false
    }
  }

  /// `host[:port]` of RFC 3986 §3.2.2, without user information.
  static func isHost(_ text: String) -> Bool {
    var bytes = Substring(text).utf8
    if bytes.first == 91 {
      guard let end = bytes.firstIndex(of: 93) else { return false }
      let address = bytes[..<end].dropFirst()
      guard address.allSatisfy({ Hex.value($0) != nil || $0 == 58 || $0 == 46 }) else { return false }
      bytes = bytes[bytes.index(after: end)...]
      guard bytes.isEmpty || bytes.first == 58 else { return false }
    }
    let colon = bytes.firstIndex(of: 58) ?? bytes.endIndex
    return bytes[..<colon].allSatisfy(isHostByte) && bytes[colon...].dropFirst().allSatisfy { (48...57).contains($0) }
  }

  /// A byte of a registered name: unreserved, sub-delims and escapes.
  private static func isHostByte(_ byte: UInt8) -> Bool {
    isToken(byte) && byte != 94 && byte != 96 && byte != 124 && byte != 35 || [40, 41, 44, 59, 61].contains(byte)
  }
}
