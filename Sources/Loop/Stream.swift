// A connected socket on the loop: bytes arrive by callback, writes queue up and leave together at the end of the turn.
//
//   open ─▶ draining (close asked for, queue still leaving) ─▶ closed

internal import Basics
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
  package private(set) var queuedBytes = 0
  package private(set) var isClosed = false

  private let descriptor: Int32
  private let loop = LoopActor.loop
  private var registration: Loop.Registration?
  private var queue: [Chunk] = []
  private var queueHead = 0
  private var firstOffset = 0
  private var isDirty = false
  private var isConnecting: Bool
  private var isReadingPaused = false
  private var isClosingAfterDrain = false
  private var waitsForWritable = false
  package private(set) var hasPeerFinished = false
  private var isLingering = false

  /// How long the peer has, after our last byte, to stop sending: closed at once, what it is still sending would make
  /// the kernel throw our answer away (RFC 9112 §9.6).
  private static let lingerTime: Duration = .seconds(1)
  private static let lingerLimit = 256
  private static let drainTime: Duration = .seconds(60)
  private static var lingering = 0

  /// Shared by all streams: only one reads at a time, on the loop.
  private static let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

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

  // MARK: Writing

  package func write(_ bytes: [UInt8]) { write(Chunk(bytes)) }

  /// Queues the chunk; it leaves at the end of the turn. Ends the stream when the queue passes its bound.
  package func write(_ chunk: Chunk) {
    guard !isClosed, !isClosingAfterDrain, chunk.count > 0 else { return }
    queue.append(chunk)
    queuedBytes += chunk.count
    if queuedBytes > queueLimit { flush() }
    if queuedBytes > queueLimit { return end(.tooSlow) }
    markDirty()
  }

  /// Sends the chunk now, past the turn's end, where nothing waits before it: for the one frame that many get.
  /// - Returns: false when it was queued instead, whole or in part.
  package func writeAtOnce(_ chunk: Chunk) -> Bool {
    guard queueHead == queue.count, !isClosed, !isConnecting, !isClosingAfterDrain, !waitsForWritable else {
      write(chunk)
      return false
    }
    let sent = max(0, shim_send(descriptor, chunk.bytes.baseAddress, chunk.count))
    if sent == chunk.count { return true }
    write(chunk)
    guard !isClosed else { return false }
    firstOffset = sent
    queuedBytes -= sent
    return false
  }

  /// Forgets the chunks of which no byte has left; gives how many.
  package func dropUnsent() -> Int {
    let keep = firstOffset > 0 ? queueHead + 1 : queueHead
    let dropped = max(0, queue.count - keep)
    for chunk in queue.suffix(dropped) { queuedBytes -= chunk.count }
    queue.removeLast(dropped)
    return dropped
  }

  private func markDirty() {
    guard !isDirty, !waitsForWritable else { return }
    isDirty = true
    loop.flushAtTurnEnd(self)
  }

  package func flush() {
    isDirty = false
    while queueHead < queue.count, !isClosed, !isConnecting {
      let sent = send()
      if sent == -Int(EAGAIN) { return waitForWritable(true) }
      guard sent >= 0 else { return end(.failed(errno: Int32(-sent))) }
      consume(sent)
    }
    guard queueHead == queue.count, !isConnecting, !isClosed else { return }
    waitForWritable(false)
    if isClosingAfterDrain { linger() } else { onDrained() }
  }

  private func send() -> Int {
    if queue.count - queueHead == 1 {
      let rest = UnsafeRawBufferPointer(rebasing: queue[queueHead].bytes[firstOffset...])
      return shim_send(descriptor, rest.baseAddress, rest.count)
    }
    return sendMany()
  }

  private func sendMany() -> Int {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { parts in
      var count = 0
      for chunk in queue[queueHead...].prefix(64) {
        let skip = count == 0 ? firstOffset : 0
        let start = UnsafeMutableRawPointer(mutating: chunk.bytes.baseAddress! + skip)
        parts.initializeElement(at: count, to: iovec(iov_base: start, iov_len: chunk.count - skip))
        count += 1
      }
      return shim_writev(descriptor, parts.baseAddress, Int32(count))
    }
  }

  private func consume(_ sent: Int) {
    queuedBytes -= sent
    var left = sent + firstOffset
    while queueHead < queue.count, left >= queue[queueHead].count {
      left -= queue[queueHead].count
      queueHead += 1
    }
    firstOffset = left
    if queueHead == queue.count {
      queue.removeAll(keepingCapacity: queue.capacity <= 16)
      queueHead = 0
    } else if queueHead > 256 {
      queue.removeFirst(queueHead)
      queueHead = 0
    }
  }

  private func waitForWritable(_ waits: Bool) {
    guard waits != waitsForWritable else { return }
    waitsForWritable = waits
    updateInterest()
  }

  // MARK: Reading

  private var interest: PollEvents {
    var events: PollEvents = isReadingPaused ? [] : [.readable, .peerClosed]
    if isConnecting || waitsForWritable { events.insert(.writable) }
    return events
  }

  private func updateInterest() { if let registration { loop.change(registration, to: interest) } }

  /// Stops reading until `resumeReading()`: the kernel's buffer fills and the peer is held back.
  package func pauseReading() {
    isReadingPaused = true
    updateInterest()
  }

  package func resumeReading() {
    guard isReadingPaused, !hasPeerFinished else { return }
    isReadingPaused = false
    updateInterest()
  }

  private func ready(_ events: PollEvents) {
    if isConnecting { return finishConnecting() }
    if isLingering { return discard() }
    if events.areReadable || events.areLast, !isReadingPaused { readOnce() }
    if events.contains(.writable), !isClosed { flush() }
    if isReadingPaused, !isClosed, events.areLast { end(.closedByPeer) }
  }

  private func finishConnecting() {
    let code = shim_socket_error(descriptor)
    guard code == 0 else { return end(.failed(errno: code)) }
    isConnecting = false
    updateInterest()
    onConnected()
    flush()
  }

  private func readOnce() {
    let size = shim_recv(descriptor, Self.readBuffer.baseAddress, Self.readBuffer.count)
    if size > 0 {
      onBytes(UnsafeRawBufferPointer(rebasing: Self.readBuffer[..<size]))
    } else if size == 0 {
      peerFinished()
    } else if size != -Int(EAGAIN) && size != -Int(EINTR) {
      end(size == -Int(ECONNRESET) ? .closedByPeer : .failed(errno: Int32(-size)))
    }
  }

  private func peerFinished() {
    guard let onPeerFinished else { return end(.closedByPeer) }
    hasPeerFinished = true
    pauseReading()
    onPeerFinished()
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
  private func linger() {
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

  private func discard() {
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

  private func end(_ reason: StreamEnd) {
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
