// A 128-bit identifier that costs no allocation, since Foundation is not linked (docs/decisions/0001-runtime.md).

/// An RFC 9562 UUID, big-endian in two halves, so that order is byte order.
package struct UUID: Hashable, Comparable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Version 8 (RFC 9562 §5.8): 48 bits of Unix milliseconds, then 74 bits of the given digest.
  package init(milliseconds: Int64, digest: (UInt64, UInt64)) {
    high = UInt64(bitPattern: milliseconds) << 16 | 0x8000 | digest.0 & 0x0fff
    low = digest.1 & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
  }

  /// The lowest and the highest identifier of the same millisecond.
  package var first: UUID { UUID(high: high & ~0xffff, low: 0) }
  package var last: UUID { UUID(high: high | 0xffff, low: .max) }

  package static func < (left: Self, right: Self) -> Bool {
    left.high == right.high ? left.low < right.low : left.high < right.high
  }

  /// The sixteen bytes in network order.
  package var bytes: [UInt8] { withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { Array($0) } }

  /// Sixteen bytes in network order; nil for any other count. Read in place: a page of the journal holds hundreds.
  package init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == 16 else { return nil }
    high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  package init?(bytes: [UInt8]) {
    guard let id = bytes.withUnsafeBytes({ UUID(bytes: $0) }) else { return nil }
    self = id
  }

  /// Reads the 36-character form in either case. Nil for anything else.
  package init?(_ text: some StringProtocol) {
    var nibbles: [UInt64] = []
    for (index, byte) in text.utf8.enumerated() {
      if [8, 13, 18, 23].contains(index) {
        guard byte == 45 else { return nil }
      } else {
        guard let nibble = Hex.value(byte) else { return nil }
        nibbles.append(UInt64(nibble))
      }
    }
    guard nibbles.count == 32 else { return nil }
    high = nibbles[..<16].reduce(0) { $0 << 4 | $1 }
    low = nibbles[16...].reduce(0) { $0 << 4 | $1 }
  }
}

extension UUID: CustomStringConvertible {
  package var description: String {
    String(unsafeUninitializedCapacity: 36) { text in
      write(into: text)
      return 36
    }
  }

  /// The 36 characters, in lower case, at the beginning of `text`.
  package func write(into text: UnsafeMutableBufferPointer<UInt8>) {
    var at = 0
    for index in 0..<32 {
      if index == 8 || index == 12 || index == 16 || index == 20 {
        text[at] = 45
        at += 1
      }
      let half = index < 16 ? high : low
      text[at] = Hex.digit(UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * (index & 15))) & 15)
      at += 1
    }
  }
}
