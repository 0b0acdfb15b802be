// The [threecx] section.

package import Basics
package import Config

package struct ThreeCXConfig: Sendable {
  /// `https://pbx.example.com:5001`, without a slash at the end; empty when the APIs are not used.
  package var url = ""
  /// `127.0.0.1:5001`: where to connect instead; the certificate is still checked for the URL's host.
  package var connectTo: String?
  package var caFile: String?
  package var clientID = ""
  package var clientSecret: Secret<String>?
  /// How often all is compared while there are calls; twenty times as long while there are none.
  package var reconcileSeconds = 15

  package init() {}

  package init(reading reader: inout ConfigReader) {
    url = reader.text("threecx", "url", default: "")
    while url.hasSuffix("/") { url.removeLast() }
    connectTo = reader.optionalText("threecx", "connect_to")
    caFile = reader.optionalText("threecx", "ca_file")
    clientID = reader.text("threecx", "client_id", default: "")
    clientSecret = reader.secret("threecx", "client_secret")
    reconcileSeconds = reader.number("threecx", "reconcile_secs", default: 15, in: 1...300)
    guard isOn else { return }
    if clientID.isEmpty { reader.fault("threecx", "client_id", "needed, since url is set") }
    if clientSecret == nil { reader.fault("threecx", "client_secret_file", "needed, since url is set") }
    if origin == nil { reader.fault("threecx", "url", "expected https://name or https://name:port") }
    if let caFile, !Files.exists(caFile) { reader.fault("threecx", "ca_file", "there is no such file") }
    if let origin, !origin.isTLS, !["127.0.0.1", "[::1]", "localhost"].contains(origin.host) {
      reader.fault("threecx", "url", "plain http is for this host alone; use https")
    }
  }

  package var isOn: Bool { !url.isEmpty }

  /// The PBX is on this host.
  var isBesideUs: Bool {
    let host = connectTo.map { String($0[..<($0.lastIndex(of: ":") ?? $0.endIndex)]) } ?? origin?.host ?? ""
    return ["127.0.0.1", "[::1]", "localhost"].contains(host)
  }

  /// The parts of the URL; nil for what is none.
  package var origin: (isTLS: Bool, host: String, port: Int)? {
    let isTLS = url.hasPrefix("https://")
    guard isTLS || url.hasPrefix("http://") else { return nil }
    let rest = url.dropFirst(isTLS ? 8 : 7)
    let host = rest.hasPrefix("[") ? rest.prefix { $0 != "]" } + "]" : rest.prefix { $0 != ":" && $0 != "/" }
    let tail = rest.dropFirst(host.count)
    guard host.utf8.count > 1, tail.isEmpty || tail.hasPrefix(":") else { return nil }
    guard let port = tail.isEmpty ? (isTLS ? 443 : 80) : Int(tail.dropFirst()), (1...65_535).contains(port) else {
      return nil
    }
    return (isTLS, String(host), port)
  }
}
