// What can be seen of a webhook's address before anything is sent. Where a name leads is looked at when it is connected
// to, by the address policy.

internal import Basics
package import HTTPClient

package enum WebhookAddress {
  /// What is wrong with it, and what to do; nil when it may be tried.
  package static func fault(in url: String, policy: AddressPolicy) -> String? {
    guard let scheme = ["https://", "http://"].first(where: { url.asciiLowercased.hasPrefix($0) }) else {
      return "expected an address that begins with https://"
    }
    guard url.utf8.count <= 2048, url.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
      return "expected up to 2048 printable ASCII characters"
    }
    if url.contains("#") { return "leave out the part behind #; it is not sent" }
    let authority = url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
    if authority.contains("@") { return "leave out user and password; deliveries are signed" }
    guard let host = host(of: authority) else {
      return "expected a host, and a port from 1 to 65535 where one is named"
    }
    guard let address = NetworkAddress(host), !policy.permits(address) else { return nil }
    return "\(host) is not a public address; the operator may list its network in [upstream] allowed_networks"
  }

  private static func host(of authority: Substring) -> String? {
    var (host, port) = (String(authority), Substring?.none)
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { return nil }
      host = String(authority[authority.index(after: authority.startIndex)..<end])
      let rest = authority[authority.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
      port = rest.isEmpty ? nil : rest.dropFirst()
    } else if let colon = authority.lastIndex(of: ":") {
      (host, port) = (String(authority[..<colon]), authority[authority.index(after: colon)...])
    }
    if let port, !(Int(port).map { (1...65_535).contains($0) } ?? false) { return nil }
    return host.isEmpty ? nil : host
  }
}
