// Requests to other servers, through libcurl on the loop: its sockets and its one timer are the loop's.

internal import Basics
internal import CShims
internal import Glibc
package import Loop

@LoopActor
package final class HTTPClient {
  private var multi: UnsafeMutableRawPointer?
  private var watched: [Int32: Watch] = [:]
  private var timer: (timer: Loop.Timer, at: Moment)?
  private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]

  /// Loads libcurl.
  package init() throws(ClientFailure) {
    var why = [CChar](repeating: 0, count: 256)
    guard shim_curl_load(&why, why.count) == 0 else {
      let reason = String(decoding: why.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      throw ClientFailure(.noLibrary, reason)
    }
    let context = Unmanaged.passUnretained(self).toOpaque()
    multi = shim_curl_multi(
      { context, socket, what in
        let context = UInt(bitPattern: context)
        LoopActor.assumeIsolated { HTTPClient.at(context).watch(socket, what) }
      },
      { context, socket in
        let context = UInt(bitPattern: context)
        LoopActor.assumeIsolated { HTTPClient.at(context).forget(socket) }
      },
      { context, milliseconds in
        let context = UInt(bitPattern: context)
        LoopActor.assumeIsolated { HTTPClient.at(context).wait(milliseconds) }
      }, context)
    // libcurl keeps the address: a client lives as long as the agent.
    _ = Unmanaged.passRetained(self)
  }

  private static func at(_ address: UInt) -> HTTPClient {
    Unmanaged<HTTPClient>.fromOpaque(UnsafeRawPointer(bitPattern: address)!).takeUnretainedValue()
  }

  // MARK: Asking

  /// Any answer is a success here, whatever its status; redirects are not followed.
  package func send(_ request: ClientRequest) async throws(ClientFailure) -> ClientResponse {
    let transfer = try await perform(request, isTunnel: false)
    defer { finish(transfer) }
    let status = Int(shim_curl_status(transfer.handle))
    return ClientResponse(status: status, headers: transfer.headers, body: transfer.body)
  }

  /// A connection to the URL's host, with its TLS, on which the caller speaks.
  package func connect(_ request: ClientRequest) async throws(ClientFailure) -> Stream {
    let transfer = try await perform(request, isTunnel: true)
    guard let handle = transfer.handle, let tunnel = Tunnel(handle, onEnd: { [self] in finish(transfer) }) else {
      finish(transfer)
      throw ClientFailure(.broken, "no descriptors left")
    }
    return tunnel.open()
  }

  private func perform(_ request: ClientRequest, isTunnel: Bool) async throws(ClientFailure) -> Transfer {
    let transfer = Transfer(request)
    let key = Unmanaged.passUnretained(transfer).toOpaque()
    transfers[key] = transfer
    guard begin(request, transfer, isTunnel) else {
      transfers[key] = nil
      throw ClientFailure(.broken, "out of memory")
    }
    let code: Int32 = await withUnsafeContinuation { transfer.waiting = $0 }
    guard code == 0 else {
      let text = String(cString: shim_curl_error(transfer.handle, code))
      finish(transfer)
      if let refused = transfer.refused {
        throw ClientFailure(.forbidden, "\(refused) is not an address that may be connected to")
      }
      throw ClientFailure(code: code, text)
    }
    return transfer
  }

  private func begin(_ request: ClientRequest, _ transfer: Transfer, _ isTunnel: Bool) -> Bool {
    let context = Unmanaged.passUnretained(transfer).toOpaque()
    transfer.handle = request.withOptions(isTunnel: isTunnel) { options in
      shim_curl_begin(
        multi, options,
        { context, bytes, size in
          let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
          return transfer.take(UnsafeRawBufferPointer(start: bytes, count: size)) ? size : 0
        },
        { context, bytes, size in
          let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
          transfer.take(line: UnsafeRawBufferPointer(start: bytes, count: size))
        },
        request.policy == nil
          ? nil
          : { context, address, size in
            let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
            return transfer.mayConnect(UnsafeRawBufferPointer(start: address, count: size)) ? 1 : 0
          }, context)
    }
    return transfer.handle != nil
  }

  private func finish(_ transfer: Transfer) {
    transfers[Unmanaged.passUnretained(transfer).toOpaque()] = nil
    if let handle = transfer.handle { shim_curl_finish(multi, handle) }
    transfer.handle = nil
  }

  // MARK: The loop

  /// A socket of libcurl's. One that it keeps for later stays watched, for the next request on it is soon: that costs
  /// nothing, where watching anew costs two system calls a request.
  private struct Watch {
    let registration: Loop.Registration
    var events: PollEvents
    var isIdle = false
  }

  private func watch(_ socket: Int32, _ what: Int32) {
    guard what != 4 else {
      if shim_curl_is_ours(socket) == 1 { watched[socket]?.isIdle = true } else { forget(socket) }
      return
    }
    var events: PollEvents = []
    if what & 1 != 0 { events.insert(.readable) }
    if what & 2 != 0 { events.insert(.writable) }
    if let known = watched[socket] {
      if known.events != events { LoopActor.loop.change(known.registration, to: events) }
      watched[socket] = Watch(registration: known.registration, events: events)
      return
    }
    let registration = LoopActor.loop.watch(socket, for: events) { [self] events in ready(socket, events) }
    watched[socket] = Watch(registration: registration, events: events)
  }

  private func ready(_ socket: Int32, _ events: PollEvents) {
    // The peer closed a connection that nobody uses: libcurl finds out when it wants it again.
    if watched[socket]?.isIdle ?? true { return forget(socket) }
    var flags: Int32 = 0
    if events.areReadable { flags |= 1 }
    if events.contains(.writable) { flags |= 2 }
    if events.contains(.failed) { flags |= 4 }
    act(socket, flags)
  }

  private func forget(_ socket: Int32) {
    if let known = watched.removeValue(forKey: socket) { LoopActor.loop.cancel(known.registration) }
  }

  /// A timer that is set for an earlier time stays: libcurl, asked too early, sets the next.
  private func wait(_ milliseconds: Int) {
    guard milliseconds >= 0 else { return }
    let at = Moment.now() + .milliseconds(milliseconds)
    if let timer {
      if timer.at <= at { return }
      LoopActor.loop.cancel(timer.timer)
    }
    let made = LoopActor.loop.after(.milliseconds(milliseconds)) { [self] in
      timer = nil
      act(-1, 0)
    }
    timer = (made, at)
  }

  private func act(_ socket: Int32, _ events: Int32) {
    shim_curl_act(multi, socket, events)
    var code: Int32 = 0
    while let key = shim_curl_ended(multi, &code) {
      let ended = Unmanaged<PendingTransfer>.fromOpaque(key).takeUnretainedValue()
      let waiting = ended.waiting
      ended.waiting = nil
      waiting?.resume(returning: code)
    }
  }

  var handle: UnsafeMutableRawPointer? { multi }
}

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

extension ClientRequest {
  /// The options as libcurl takes them; valid inside `body` only.
  func withOptions<T>(isTunnel: Bool, _ body: (UnsafePointer<shim_transfer_options>) -> T) -> T {
    let texts = [url, method, connectTo.map { "::\($0)" }, caFile, certificateFile, keyFile, proxy].map {
      $0.flatMap { strdup($0) }
    }
    let lines = headers.map { strdup("\($0.name): \($0.value)") }
    defer { for text in texts + lines { free(text) } }
    return (lines.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { lines in
      (self.body ?? []).withUnsafeBytes { bytes in
        var options = shim_transfer_options()
        (options.url, options.method) = (UnsafePointer(texts[0]), UnsafePointer(texts[1]))
        (options.connect_to, options.ca_file) = (UnsafePointer(texts[2]), UnsafePointer(texts[3]))
        (options.cert_file, options.key_file) = (UnsafePointer(texts[4]), UnsafePointer(texts[5]))
        options.proxy = UnsafePointer(texts[6])
        options.shares_connection = url.hasPrefix("https:") && !isTunnel ? 1 : 0
        options.headers = lines.baseAddress
        if self.body != nil { (options.body, options.body_size) = (bytes.baseAddress ?? Self.nothing, bytes.count) }
        options.connect_ms = Int(connectTimeout.nanoseconds / 1_000_000)
        options.total_ms = Int(timeout.nanoseconds / 1_000_000)
        options.connect_only = isTunnel ? 1 : 0
        return body(&options)
      }
    }
  }

  private static var nothing: UnsafeRawPointer { UnsafeRawPointer(bitPattern: 1)! }
}
