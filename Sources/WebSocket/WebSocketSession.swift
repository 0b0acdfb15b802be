// A WebSocket on a stream: answers pings, closes by the rules, and bounds what waits for a slow peer.
//
//   open ─▶ closing (our close frame sent, the peer's awaited for 2 s) ─▶ closed

package import Basics
internal import Crypto
package import Loop

@LoopActor
package final class WebSocketSession {
  package var onDrained: @LoopActor () -> Void {
    get { stream.onDrained }
    set { stream.onDrained = newValue }
  }

  package private(set) var lastHeard = Moment.now()
  package private(set) var isOpen = true

  private let stream: Stream
  private let role: WebSocketRole
  private var decoder: WebSocketDecoder
  private var onMessage: (@LoopActor (WebSocketMessage) -> Void)?
  private var onEnd: (@LoopActor (_ code: UInt16, _ reason: String) -> Void)?
  private var ending: (code: UInt16, reason: String)?

  /// - Parameter received: bytes the peer sent behind its handshake.
  package init(
    _ stream: Stream, role: WebSocketRole = .server, messageLimit: Int = 65_536, received: [UInt8] = []
  ) {
    self.stream = stream
    self.role = role
    decoder = WebSocketDecoder(role: role, messageLimit: messageLimit)
    stream.onBytes = { [unowned self] bytes in self.received(bytes) }
    stream.onEnd = { [self] end in ended(end) }
    decoder.feed(received)
  }

  /// Begins to hand over what arrives; until then it waits, bounded by the socket's buffer.
  /// - Parameter onEnd: the last call: why it ended, as the close frame or the socket said.
  package func receive(
    _ onMessage: @escaping @LoopActor (WebSocketMessage) -> Void = { _ in },
    onEnd: @escaping @LoopActor (_ code: UInt16, _ reason: String) -> Void
  ) {
    (self.onMessage, self.onEnd) = (onMessage, onEnd)
    if let ending { return finish(ending.code, ending.reason) }
    drain()
  }

  /// Bytes that wait for the peer.
  package var queuedBytes: Int { stream.queuedBytes }

  package var queueLimit: Int {
    get { stream.queueLimit }
    set { stream.queueLimit = newValue }
  }

  /// Sends a frame that was encoded once for many.
  package func send(_ frame: Chunk) { if isOpen { stream.write(frame) } }

  /// As `send`, at once where nothing waits; false when it was queued.
  package func sendAtOnce(_ frame: Chunk) -> Bool { isOpen && stream.writeAtOnce(frame) }

  /// Sends what waits for the turn's end.
  package func flush() { stream.flush() }

  package func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
    guard isOpen else { return }
    stream.write(WebSocketEncoder.frame(opcode, payload, mask: role == .client ? Random.bytes(4) : nil))
  }

  package func pauseReading() { stream.pauseReading() }
  package func resumeReading() { stream.resumeReading() }

  private func received(_ bytes: UnsafeRawBufferPointer) {
    lastHeard = Moment.now()
    decoder.feed(bytes)
    drain()
  }

  private func drain() {
    guard onMessage != nil else { return }
    do throws(WebSocketFault) {
      while !stream.isClosed, let message = try decoder.next() { handle(message) }
    } catch {
      close(error.code, error.reason)
      stream.closeAfterDrain()
    }
  }

  private func handle(_ message: WebSocketMessage) {
    switch message {
    case .ping(let payload): send(.pong, payload)
    case .pong: break
    case .close(let code, let reason): answerClose(code, reason)
    case .text, .binary: if isOpen { onMessage?(message) }
    }
  }

  private func answerClose(_ code: UInt16?, _ reason: String) {
    send(.close, WebSocketEncoder.closePayload(code, ""))
    isOpen = false
    finish(code ?? 1005, reason)
    if role == .server { stream.closeAfterDrain() } else { giveUp(after: .seconds(2)) }
  }

  /// Says why, waits for the peer's answer, and ends.
  /// - Parameter patience: how long a peer that does not read has, to find out why.
  package func close(_ code: UInt16, _ reason: String, patience: Duration = .seconds(2)) {
    guard isOpen else { return }
    send(.close, WebSocketEncoder.closePayload(code, reason))
    isOpen = false
    finish(code, reason)
    giveUp(after: patience)
  }

  private func giveUp(after span: Duration) { LoopActor.loop.after(span) { [stream] in stream.close() } }

  /// Forgets the frames of which no byte has left; gives how many.
  package func dropUnsent() -> Int { stream.dropUnsent() }

  private func ended(_ end: StreamEnd) {
    isOpen = false
    finish(end == .tooSlow ? 4008 : 1006, end.explanation)
  }

  private func finish(_ code: UInt16, _ reason: String) {
    ending = ending ?? (code, reason)
    guard let onEnd else { return }
    self.onEnd = nil
    // What the owner gave may hold the session; frames up to the peer's close are still read, for nobody.
    onMessage = { _ in }
    onEnd(code, reason)
  }
}
