// What is written queues up and leaves at the end of the turn, many pieces in one call.

internal import CShims
internal import Glibc

extension Stream {
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

  func markDirty() {
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

  func waitForWritable(_ waits: Bool) {
    guard waits != waitsForWritable else { return }
    waitsForWritable = waits
    updateInterest()
  }
}
