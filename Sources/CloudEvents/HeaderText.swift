// Attribute values in headers: percent-encoded UTF-8 (CloudEvents HTTP binding §3.1.3.2).

internal import Basics

package enum HeaderText {
  package static func encoded(_ text: String) -> String {
    var out: [UInt8] = []
    for byte in text.utf8 {
      if byte > 0x20, byte < 0x7f, byte != 0x22, byte != 0x25 {
        out.append(byte)
      } else {
        out += [37, upper(byte >> 4), upper(byte & 15)]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static func upper(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 55 + nibble }

  /// Quoted strings and either case of hex are taken; nil for what is no UTF-8 or is cut off.
  package static func decoded(_ text: String) -> String? {
    var bytes = Array(text.utf8)
    if bytes.count >= 2, bytes.first == 34, bytes.last == 34 { bytes = unquoted(bytes[1..<(bytes.count - 1)]) }
    var out: [UInt8] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      guard byte == 37 else {
        out.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(Hex.value), let low = rest.popFirst().flatMap(Hex.value) else {
        return nil
      }
      out.append(high << 4 | low)
    }
    return String(validating: out, as: UTF8.self)
  }

  private static func unquoted(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    var isEscaped = false
    for byte in bytes {
      if byte == 92, !isEscaped {
        isEscaped = true
      } else {
        out.append(byte)
        isEscaped = false
      }
    }
    return out
  }
}

/// The parent of a trace (W3C Trace Context §3.2).
package enum TraceParent {
  /// Nil for what must be ignored.
  package static func parsed(_ text: String) -> (trace: String, parent: String, isSampled: Bool)? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 4, parts[0] != "ff", parts[0] != "00" || parts.count == 4 else { return nil }
    let isHex: (String) -> Bool = { $0.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } }
    guard zip(parts, [2, 32, 16, 2]).allSatisfy({ $0.utf8.count == $1 && isHex($0) }),
      parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" }),
      let flags = UInt8(parts[3], radix: 16)
    else { return nil }
    return (parts[1], parts[2], flags & 1 == 1)
  }
}
