// A request as it was read: no header is lost or merged, names compare without case.

internal import Basics

package struct HTTPRequest: Sendable {
  package var method: String
  /// The path, percent-encoded as it came; always begins with `/`, or is `*` for OPTIONS.
  package var path: String
  package var query: String?
  package var isHTTP10 = false
  package var headers: [(name: String, value: String)] = []
  package var body: [UInt8] = []
  package var wantsKeepAlive = true

  package init(method: String, path: String) { (self.method, self.path) = (method, path) }

  /// The first header of that name, in lower case.
  package func header(_ name: String) -> String? {
    headers.first { $0.name.utf8.count == name.utf8.count && $0.name.isEqualWithoutCase(to: name) }?.value
  }

  /// Every element of a comma-separated list header, trimmed and lowered.
  package func list(_ name: String) -> [String] {
    headers.filter { $0.name.isEqualWithoutCase(to: name) }
      .flatMap { $0.value.split(separator: ",") }
      .map { String($0).trimmed.asciiLowercased }
  }

  /// The query's parameters, decoded; of a repeated name the first counts.
  package var parameters: [String: String] {
    guard let query else { return [:] }
    let pairs = query.split(separator: "&").map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (Self.decoded(parts[0]), parts.count == 2 ? Self.decoded(parts[1]) : "")
    }
    return Dictionary(pairs) { first, _ in first }
  }

  /// Undoes percent-encoding; a broken escape stays as it is.
  /// - Parameter isForm: `+` is a blank, as in queries and forms; in a path it is itself.
  package static func decoded(_ text: Substring, isForm: Bool = true) -> String {
    var out: [UInt8] = []
    let bytes = Array(text.utf8)
    var at = 0
    while at < bytes.count {
      if bytes[at] == 37, at + 2 < bytes.count, let high = Hex.value(bytes[at + 1]), let low = Hex.value(bytes[at + 2])
      {
        out.append(high << 4 | low)
        at += 3
      } else {
        out.append(isForm && bytes[at] == 43 ? 32 : bytes[at])
        at += 1
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}

extension String {
  package func isEqualWithoutCase(to other: String) -> Bool {
    utf8.elementsEqual(other.utf8) { left, right in Self.lowered(left) == Self.lowered(right) }
  }

  private static func lowered(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte | 32 : byte }
}
