// Which addresses a request on a tenant's behalf may go to: the public Internet, and what the operator lists. It is asked
// with the very address that is about to be connected to, so that no name, redirect or spelling leads past it.

internal import Basics
internal import Glibc

/// An IPv4 or IPv6 address; IPv4 inside IPv6 (mapped, NAT64, 6to4) is the IPv4 it leads to.
package struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
  /// Four bytes or sixteen.
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes.count == 16 ? Self.embedded(in: bytes) ?? bytes : bytes }

  package init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      self.init(withUnsafeBytes(of: &four) { Array($0) })
    } else if inet_pton(AF_INET6, text, &six) == 1 {
      self.init(withUnsafeBytes(of: &six) { Array($0) })
    } else {
      return nil
    }
  }

  /// A `sockaddr` of the internet families.
  init?(socketAddress raw: UnsafeRawBufferPointer) {
    guard raw.count >= 16 else { return nil }
    switch Int32(raw.loadUnaligned(as: sa_family_t.self)) {
    case AF_INET: self.init(Array(raw[4..<8]))
    case AF_INET6 where raw.count >= 28: self.init(Array(raw[8..<24]))
    default: return nil
    }
  }

  /// RFC 4291 §2.5.5, RFC 6052 §2.1, RFC 8215, RFC 3056 §2.
  private static func embedded(in bytes: [UInt8]) -> [UInt8]? {
    let zeros = [UInt8](repeating: 0, count: 10)
    if Array(bytes[..<10]) == zeros, bytes[10...11] == [255, 255] || bytes[10...11] == [0, 0] && bytes[12] != 0 {
      return Array(bytes[12...])
    }
    if bytes[..<12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0] { return Array(bytes[12...]) }
    return bytes[..<2] == [0x20, 0x02] ? Array(bytes[2..<6]) : nil
  }

  package var description: String {
    var text = [CChar](repeating: 0, count: 64)
    _ = bytes.withUnsafeBytes { inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, $0.baseAddress, &text, 64) }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
package struct Network: Sendable, Hashable {
  private let bytes: [UInt8]
  private let bits: Int

  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2, let address = NetworkAddress(parts[0]) else { return nil }
    bytes = address.bytes
    if parts.count == 2 {
      guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
      self.bits = bits
    } else {
      bits = bytes.count * 8
    }
  }

  func contains(_ address: NetworkAddress) -> Bool {
    guard address.bytes.count == bytes.count else { return false }
    let (whole, rest) = (bits / 8, bits % 8)
    guard address.bytes[..<whole] == bytes[..<whole] else { return false }
    return rest == 0 || (address.bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0
  }
}

package struct AddressPolicy: Sendable, Hashable {
  /// Networks that are allowed although they are not public.
  package var allowed: [Network]

  package init(allowed: [Network] = []) { self.allowed = allowed }

  package func permits(_ address: NetworkAddress) -> Bool {
    allowed.contains { $0.contains(address) } || !Self.special.contains { $0.contains(address) }
  }

  /// What is not the public Internet: the registries of special addresses (RFC 6890 and its updates).
  private static let special: [Network] = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/8", "64:ff9b:1::/48",
    "100::/64",
    "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
  ].map { Network($0)! }
}
