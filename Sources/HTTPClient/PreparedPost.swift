// POSTs to one address, many: what they share is set up once, which is three quarters of what a request costs this
// process otherwise.

internal import Basics
internal import CShims
internal import Glibc
package import Loop

/// What a prepared POST's answer says; its body is let go, and no more of it is read than 64 KiB.
package struct PostAnswer: Sendable {
  package let status: Int
  package let retryAfter: String?
}

@LoopActor
package final class PreparedPost {
  private let client: HTTPClient
  private let post: OpaquePointer?
  private let policy: AddressPolicy?
  private var underWay = 0
  private var isClosed = false

  /// - Parameter request: what all have in common; its body is not used.
  package init(_ request: ClientRequest, client: HTTPClient) {
    (self.client, policy) = (client, request.policy)
    post = request.withOptions(isTunnel: false) { options in
      shim_post_new(
        options,
        request.policy == nil
          ? nil
          : { context, address, size in
            let posting = Unmanaged<Posting>.fromOpaque(context!).takeUnretainedValue()
            return posting.mayConnect(UnsafeRawBufferPointer(start: address, count: size)) ? 1 : 0
          })
    }
  }

  /// Any answer is a success here, whatever its status; redirects are not followed.
  /// - Parameter lines: further headers, each ended by a zero byte; at most 24.
  package func send(_ lines: [UInt8], _ body: [UInt8]) async throws(ClientFailure) -> PostAnswer {
    let posting = Posting(policy)
    let context = Unmanaged.passUnretained(posting).toOpaque()
    guard !isClosed, let post, let handle = begin(post, lines, body, context) else {
      throw ClientFailure(.broken, "out of memory")
    }
    underWay += 1
    let code: Int32 = await withUnsafeContinuation { posting.waiting = $0 }
    defer { end(handle) }
    if code != 0, shim_post_cut(handle) == 0 {
      if let refused = posting.refused {
        throw ClientFailure(.forbidden, "\(refused) is not an address that may be connected to")
      }
      throw ClientFailure(code: code, String(cString: shim_post_error(handle, code)))
    }
    var retryAfter: UnsafePointer<CChar>?
    let status = Int(shim_post_status(handle, &retryAfter))
    let asked = retryAfter.flatMap { $0.pointee == 0 ? nil : String(cString: $0).trimmed }
    return withExtendedLifetime(posting) { PostAnswer(status: status, retryAfter: asked) }
  }

  private func begin(_ post: OpaquePointer, _ lines: [UInt8], _ body: [UInt8], _ context: UnsafeMutableRawPointer)
    -> OpaquePointer?
  {
    lines.withUnsafeBytes { lines in
      body.withUnsafeBytes { body in
        shim_post_begin(
          client.handle, post, lines.bindMemory(to: CChar.self).baseAddress, lines.count, body.baseAddress, body.count,
          context)
      }
    }
  }

  private func end(_ handle: OpaquePointer) {
    shim_post_end(client.handle, handle)
    underWay -= 1
    if isClosed, underWay == 0, let post { shim_post_free(post) }
  }

  /// Nothing is sent afterwards; what is under way ends by itself.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    if underWay == 0, let post { shim_post_free(post) }
  }
}

private final class Posting: PendingTransfer, @unchecked Sendable {
  private let policy: AddressPolicy?
  private(set) var refused: String?

  init(_ policy: AddressPolicy?) { self.policy = policy }

  func mayConnect(_ address: UnsafeRawBufferPointer) -> Bool {
    guard let policy, let address = NetworkAddress(socketAddress: address) else { return false }
    if policy.permits(address) { return true }
    refused = address.description
    return false
  }
}
