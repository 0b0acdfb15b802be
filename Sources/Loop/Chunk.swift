// Bytes written once and shared by every socket that sends them.

/// An immutable run of bytes at a fixed address, so that one frame can wait in a thousand queues.
package final class Chunk: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  package init(_ source: [UInt8]) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 1)
    source.withUnsafeBytes { memory.copyMemory(from: $0) }
    bytes = UnsafeRawBufferPointer(memory)
  }

  package var count: Int { bytes.count }

  deinit { bytes.deallocate() }
}
