// Requests to other servers, through libcurl on the loop: its sockets and its one timer are the loop's.

internal import Basics
internal import CShims
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
