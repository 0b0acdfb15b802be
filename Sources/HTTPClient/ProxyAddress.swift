// The address of a proxy, as libcurl takes it (CURLOPT_PROXY(3)).

/// What is wrong with an address before anything connects to it.
package enum ProxyAddress {
  private static let schemes: Set = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
  private static let expected = "expected http://host:port, https:// or socks5h://"

  /// - Returns: nil where nothing is.
  package static func fault(in text: String) -> String? {
    var rest = text[...]
    if let mark = text.firstRange(of: "://") {
      guard schemes.contains(text[..<mark.lowerBound].lowercased()) else { return expected }
      rest = text[mark.upperBound...]
    }
    if rest.hasSuffix("/") { rest.removeLast() }
    let place = rest.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
    return isPlace(place) ? nil : expected
  }

  /// `host`, `host:port`, `[address]:port`.
  private static func isPlace(_ text: Substring) -> Bool {
    var host = text
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
      guard let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port) else { return false }
      host = text[..<colon]
    }
    if host.hasPrefix("["), host.hasSuffix("]") { return NetworkAddress(String(host.dropFirst().dropLast())) != nil }
    return !host.isEmpty && host.utf8.allSatisfy { Character(UnicodeScalar($0)).isHostLetter }
  }
}

extension Character {
  fileprivate var isHostLetter: Bool { isASCII && (isLetter || isNumber || self == "." || self == "-" || self == "_") }
}
