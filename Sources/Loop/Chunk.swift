// Bytes written once and shared by every socket that sends them.

/// An immutable run of bytes at a fixed address, so that one frame can wait in a thousand queues.
package final class Chunk: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  package init(_ source: some Collection<UInt8>) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 1)
    memory.copyBytes(from: source)
    bytes = UnsafeRawBufferPointer(memory)
  }

  package var count: Int { bytes.count }

  deinit { bytes.deallocate() }
}
