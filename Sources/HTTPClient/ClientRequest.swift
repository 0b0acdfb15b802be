// What is asked of another server, what it answers, and how asking fails.

internal import Basics

package struct ClientRequest: Sendable {
  package var method: String
  package var url: String
  package var headers: [(name: String, value: String)] = []
  package var body: [UInt8]?
  /// `host:port` to connect to instead of the URL's; the certificate is still checked for the URL's host.
  package var connectTo: String?
  /// Certificates to trust instead of the system's.
  package var caFile: String?
  package var connectTimeout: Duration = .seconds(5)
  package var timeout: Duration = .seconds(15)
  /// A longer answer fails the request.
  package var bodyLimit = 8 << 20
  /// Of a longer answer the rest is let go instead.
  package var isBodyCut = false
  /// A client certificate and its key, in PEM files.
  package var certificateFile: String?
  package var keyFile: String?
  /// `http://proxy:3128`: where all goes through. It resolves names, so `policy` sees only itself.
  package var proxy: String?
  /// Which addresses may be connected to; nil for all.
  package var policy: AddressPolicy?

  package init(_ method: String, _ url: String) { (self.method, self.url) = (method, url) }
}

package struct ClientResponse: Sendable {
  package let status: Int
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]

  package var isSuccess: Bool { (200..<300).contains(status) }

  /// The first header of that name, in any case.
  package func header(_ name: String) -> String? {
    headers.first { $0.name.asciiLowercased == name.asciiLowercased }?.value
  }
}

package struct ClientFailure: Error, Hashable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    case badURL, unresolved, unreachable, tooSlow
    /// The server's certificate is not one to trust, or is another name's.
    case certificate
    case tls, tooLarge, broken
    /// The name stands for an address that may not be connected to.
    case forbidden
    /// libcurl is not on this host.
    case noLibrary
  }

  package let kind: Kind
  package let description: String

  package init(_ kind: Kind, _ description: String) { (self.kind, self.description) = (kind, description) }

  /// - Parameter code: of libcurl (curl.h, stable since 7.1).
  init(code: Int32, _ text: String) {
    let kind: Kind =
      switch code {
      case 1, 3: .badURL
      case 5, 6: .unresolved
      case 7: .unreachable
      case 28: .tooSlow
      case 51, 58, 60, 77, 83, 90, 91: .certificate
      case 35, 53, 54, 59, 64, 66: .tls
      case 23, 27, 63: .tooLarge
      default: .broken
      }
    self.init(kind, text)
  }
}
