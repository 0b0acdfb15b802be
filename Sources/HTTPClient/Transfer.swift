// One request under way: what libcurl calls back with, and what has come of it so far.

internal import Basics

/// Something that waits for libcurl; its address is what libcurl gives back.
class PendingTransfer: @unchecked Sendable {
  var waiting: UnsafeContinuation<Int32, Never>?
}

/// One request under way. Touched on the loop's thread only.
final class Transfer: PendingTransfer, @unchecked Sendable {
  var handle: OpaquePointer?
  private(set) var headers: [(name: String, value: String)] = []
  private(set) var body: [UInt8] = []
  /// The last address that was not connected to.
  private(set) var refused: String?
  private let bodyLimit: Int
  private let isBodyCut: Bool
  private let policy: AddressPolicy?

  init(_ request: ClientRequest) {
    (bodyLimit, isBodyCut, policy) = (request.bodyLimit, request.isBodyCut, request.policy)
  }

  func mayConnect(_ address: UnsafeRawBufferPointer) -> Bool {
    guard let policy, let address = NetworkAddress(socketAddress: address) else { return false }
    if policy.permits(address) { return true }
    refused = address.description
    return false
  }

  func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard body.count + bytes.count <= bodyLimit else { return isBodyCut }
    body.append(contentsOf: bytes)
    return true
  }

  func take(line bytes: UnsafeRawBufferPointer) {
    let line = String(decoding: bytes, as: UTF8.self)
    // A further status line begins the headers anew: those before were of a 100 Continue.
    if line.hasPrefix("HTTP/") { headers = [] }
    guard headers.count < 200, let colon = line.firstIndex(of: ":") else { return }
    headers.append((String(line[..<colon]), String(line[line.index(after: colon)...]).trimmed))
  }
}
