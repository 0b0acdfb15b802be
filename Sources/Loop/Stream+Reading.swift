// What arrives is handed over as it comes; a reader that has enough lets the kernel hold the peer back.

internal import CShims
internal import Glibc

extension Stream {
  var interest: PollEvents {
    var events: PollEvents = isReadingPaused ? [] : [.readable, .peerClosed]
    if isConnecting || waitsForWritable { events.insert(.writable) }
    return events
  }

  func updateInterest() { if let registration { loop.change(registration, to: interest) } }

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

  func ready(_ events: PollEvents) {
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
}
