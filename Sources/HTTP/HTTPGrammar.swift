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

  /// What may stand in a request target: visible ASCII but for what RFC 3986 §2 leaves out, and the fragment.
  static func isTargetByte(_ byte: UInt8) -> Bool {
    byte > 32 && byte < 127 && ![34, 35, 60, 62, 92, 94, 96, 123, 124, 125].contains(byte)
  }

  /// `host[:port]` of RFC 3986 §3.2.2, without user information; an `http` address has a host (RFC 9110 §4.2.1).
  static func isHost(_ text: String) -> Bool {
    var bytes = Substring(text).utf8
    if bytes.first == 91 {
      guard let end = bytes.firstIndex(of: 93) else { return false }
      let address = bytes[..<end].dropFirst()
      guard address.count(where: { $0 == 58 }) >= 2,
        address.allSatisfy({ Hex.value($0) != nil || $0 == 58 || $0 == 46 })
      else { return false }
      bytes = bytes[bytes.index(after: end)...]
      return bytes.isEmpty || isPort(bytes)
    }
    let colon = bytes.firstIndex(of: 58) ?? bytes.endIndex
    return colon > bytes.startIndex && isName(bytes[..<colon]) && (colon == bytes.endIndex || isPort(bytes[colon...]))
  }

  private static func isPort(_ bytes: Substring.UTF8View) -> Bool {
    bytes.first == 58 && bytes.dropFirst().allSatisfy { (48...57).contains($0) }
  }

  /// A registered name: unreserved, sub-delims, and escapes that are whole.
  private static func isName(_ bytes: Substring.UTF8View) -> Bool {
    var rest = bytes
    while let byte = rest.popFirst() {
      guard byte == 37 else {
        guard isNameByte(byte) else { return false }
        continue
      }
      guard let high = rest.popFirst(), let low = rest.popFirst(), Hex.value(high) != nil, Hex.value(low) != nil else {
        return false
      }
    }
    return true
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    isToken(byte) && byte != 94 && byte != 96 && byte != 124 && byte != 35 || [40, 41, 44, 59, 61].contains(byte)
  }

  /// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )` of RFC 9112 §7.1.1.
  static func isChunkExtension(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = blanksDropped(bytes)
    while rest.popFirst() == 59 {
      rest = blanksDropped(rest)
      guard dropToken(&rest) else { return false }
      rest = blanksDropped(rest)
      if rest.first == 61 {
        rest = blanksDropped(rest.dropFirst())
        guard rest.first == 34 ? dropQuoted(&rest) : dropToken(&rest) else { return false }
        rest = blanksDropped(rest)
      }
      if rest.isEmpty { return true }
    }
    return bytes.isEmpty
  }

  private static func blanksDropped(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    bytes.drop { $0 == 32 || $0 == 9 }
  }

  private static func dropToken(_ bytes: inout ArraySlice<UInt8>) -> Bool {
    let rest = bytes.drop(while: isToken)
    defer { bytes = rest }
    return rest.startIndex > bytes.startIndex
  }

  private static func dropQuoted(_ bytes: inout ArraySlice<UInt8>) -> Bool {
    bytes.removeFirst()
    while let byte = bytes.popFirst() {
      if byte == 34 { return true }
      if byte == 92, bytes.popFirst() == nil { return false }
    }
    return false
  }
}
