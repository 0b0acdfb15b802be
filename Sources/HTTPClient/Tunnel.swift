// Joins a connection of libcurl's to a stream of ours by a pair of sockets, so that whoever speaks on it need not know
// whose TLS it is.
//
//   caller ◀─ Stream ─▶ pair ◀─ Stream ─▶ tunnel ◀─ libcurl ─▶ server

internal import Basics
internal import CShims
internal import Glibc
internal import Loop

@LoopActor
final class Tunnel {
  private let transfer: OpaquePointer
  private let onEnd: @LoopActor () -> Void
  private let outer: Stream
  private let inner: Stream
  private var registration: Loop.Registration?
  private var unsent: [UInt8] = []
  private var isEnded = false

  /// What may wait for the server, and what may wait for the caller, each.
  private static let limit = 4 << 20

  init?(_ transfer: OpaquePointer, onEnd: @escaping @LoopActor () -> Void) {
    var pair: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { return nil }
    (self.transfer, self.onEnd) = (transfer, onEnd)
    (outer, inner) = (Stream(descriptor: pair[0]), Stream(descriptor: pair[1]))
    inner.queueLimit = Self.limit
  }

  func open() -> Stream {
    registration = LoopActor.loop.watch(shim_curl_socket(transfer), for: .readable) { [self] events in
      if events.contains(.writable) { flush() }
      receive()
    }
    inner.onBytes = { [self] bytes in
      unsent.append(contentsOf: bytes)
      if unsent.count > Self.limit { end() } else { flush() }
    }
    inner.onEnd = { [self] _ in end() }
    // TLS may have decoded bytes already, for which no socket becomes readable.
    LoopActor.loop.atTurnEnd { [self] in receive() }
    return outer
  }

  private func receive() {
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while !isEnded {
      let count = shim_curl_receive(transfer, &chunk, chunk.count)
      if count == -1 { return }
      guard count > 0 else {
        unwatch()
        return inner.closeAfterDrain()
      }
      inner.write(Array(chunk[..<count]))
    }
  }

  private func flush() {
    while !unsent.isEmpty, !isEnded {
      let count = shim_curl_send(transfer, unsent, unsent.count)
      if count == -2 { return end() }
      if count <= 0 { break }
      unsent.removeFirst(count)
    }
    if let registration, !isEnded {
      LoopActor.loop.change(registration, to: unsent.isEmpty ? .readable : [.readable, .writable])
    }
  }

  private func unwatch() {
    if let registration { LoopActor.loop.cancel(registration) }
    registration = nil
  }

  private func end() {
    guard !isEnded else { return }
    isEnded = true
    unwatch()
    inner.onBytes = { _ in }
    inner.onEnd = { _ in }
    inner.close()
    onEnd()
  }
}
