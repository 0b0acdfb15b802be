// Percent-encoding for forms and for one segment of a path: everything but letters, digits and `-._~` (RFC 3986 §2.3).
// A device id of a 3CX is a SIP address with `@`, `:` and `;`.

internal import Basics

enum Escaping {
  static func percent(_ text: String) -> String {
    text.utf8.map { byte in
      switch byte {
      case 48...57, 65...90, 97...122, 45, 46, 95, 126: String(UnicodeScalar(byte))
      default: "%" + Hex.encode([byte]).uppercased()
      }
    }.joined()
  }
}
