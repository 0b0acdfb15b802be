// A connected socket on the loop: bytes arrive by callback, writes queue up and leave together at the end of the turn.
//
//   open ─▶ draining (close asked for, queue still leaving) ─▶ closed

internal import CShims
internal import Glibc

/// Why a stream ended, told once to its owner.
package enum StreamEnd: Hashable, Sendable {
  case closedByPeer
  case closedByUs
  case failed(errno: Int32)
  /// The peer reads more slowly than it is sent to; the queue passed its bound.
  case tooSlow

  package var explanation: String {
    switch self {
    case .closedByPeer: "the peer closed the connection"
    case .closedByUs: "closed"
    case .failed(let code): String(cString: strerror(code))
    case .tooSlow: "the peer reads too slowly"
    }
  }
}

@LoopActor
package final class Stream: Flushable {
  package var onBytes: @LoopActor (UnsafeRawBufferPointer) -> Void = { _ in }
  package var onEnd: @LoopActor (StreamEnd) -> Void = { _ in }
  /// Called when everything written has left for the kernel.
  package var onDrained: @LoopActor () -> Void = {}
  package var onConnected: @LoopActor () -> Void = {}
  /// The peer will send no more but may still read: for owners that owe it an answer, and end the stream themselves.
  /// Nil: the stream ends.
  package var onPeerFinished: (@LoopActor () -> Void)?

  /// Bytes that may wait for the peer before `onEnd(.tooSlow)`.
  package var queueLimit = 1 << 20
  package internal(set) var queuedBytes = 0
  package private(set) var isClosed = false

  let descriptor: Int32
  let loop = LoopActor.loop
  var registration: Loop.Registration?
  var queue: [Chunk] = []
  var queueHead = 0
  var firstOffset = 0
  var isDirty = false
  var isConnecting: Bool
  var isReadingPaused = false
  var isClosingAfterDrain = false
  var waitsForWritable = false
  package internal(set) var hasPeerFinished = false
  var isLingering = false

  /// How long the peer has, after our last byte, to stop sending: closed at once, what it is still sending would make
  /// the kernel throw our answer away (RFC 9112 §9.6).
  private static let lingerTime: Duration = .seconds(1)
  private static let lingerLimit = 256
  private static let drainTime: Duration = .seconds(60)
  private static var lingering = 0

  /// Shared by all streams: only one reads at a time, on the loop.
  static let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

  package init(descriptor: Int32, isConnecting: Bool = false) {
    self.descriptor = descriptor
    self.isConnecting = isConnecting
    // The loop keeps the stream until it ends: a strong reference, since weak ones cost a side table on every event.
    registration = loop.watch(descriptor, for: interest) { [self] events in ready(events) }
  }

  /// Begins a TCP connection; `onConnected` or `onEnd` follows. Numeric hosts and `localhost` do not block.
  package static func connect(host: String, port: Int) throws(StreamFailure) -> Stream {
    try Stream(connecting: shim_connect_tcp(host, String(port)), to: "\(host):\(port)")
  }

  package static func connect(path: String) throws(StreamFailure) -> Stream {
    try Stream(connecting: shim_connect_unix(path), to: path)
  }

  private convenience init(connecting descriptor: Int32, to peer: String) throws(StreamFailure) {
    guard descriptor >= 0 else { throw StreamFailure(peer: peer, code: -descriptor) }
    self.init(descriptor: descriptor, isConnecting: true)
  }

  /// The peer's address without its port; `local` for a Unix socket.
  package var peerAddress: String {
    var text = [CChar](repeating: 0, count: 64)
    guard shim_peer(descriptor, &text, text.count) == 0 else { return "unknown" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: Ending

  /// Sends what is queued, then closes.
  package func closeAfterDrain() {
    guard !isClosed else { return }
    isClosingAfterDrain = true
    if queueHead == queue.count { return linger() }
    markDirty()
    // A peer that does not read is not waited for without end.
    loop.after(Self.drainTime) { [self] in end(.closedByUs) }
  }

  package func close() { end(.closedByUs) }

  /// Says that no more comes, and reads what the peer still sends, for nobody, until it stops too.
  func linger() {
    guard !hasPeerFinished, Self.lingering < Self.lingerLimit, shutdown(descriptor, Int32(SHUT_WR)) == 0 else {
      return end(.closedByUs)
    }
    Self.lingering += 1
    isLingering = true
    isReadingPaused = false
    updateInterest()
    forget(.closedByUs)
    loop.after(Self.lingerTime) { [self] in closeDescriptor() }
  }

  func discard() {
    let size = shim_recv(descriptor, Self.readBuffer.baseAddress, Self.readBuffer.count)
    if size <= 0, size != -Int(EAGAIN), size != -Int(EINTR) { closeDescriptor() }
  }

  private func closeDescriptor() {
    guard let registration else { return }
    loop.cancel(registration)
    self.registration = nil
    Glibc.close(descriptor)
    if isLingering { Self.lingering -= 1 }
  }

  func end(_ reason: StreamEnd) {
    guard !isClosed else { return }
    closeDescriptor()
    forget(reason)
  }

  /// The owner hears of the end, once, and nothing more.
  private func forget(_ reason: StreamEnd) {
    isClosed = true
    queue = []
    queueHead = 0
    queuedBytes = 0
    let onEnd = onEnd
    self.onEnd = { _ in }
    onBytes = { _ in }
    onDrained = {}
    onConnected = {}
    onPeerFinished = nil
    onEnd(reason)
  }
}

/// A connection that could not even begin.
package struct StreamFailure: Error, CustomStringConvertible {
  package let peer: String
  package let code: Int32

  package var description: String { "cannot connect to \(peer): \(String(cString: strerror(code)))" }
}
