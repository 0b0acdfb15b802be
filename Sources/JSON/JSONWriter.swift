// Writes JSON straight into one growable buffer: no tree, no intermediate strings (228 ns an event where
// Foundation's encoder took 6.4 µs, docs/decisions/0001-runtime.md).

package import Basics

/// Appends JSON text. Commas are put by the writer; the caller keeps objects and arrays balanced.
package struct JSONWriter: Sendable {
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Empties the writer and keeps its memory.
  package mutating func reset() {
    bytes.removeAll(keepingCapacity: true)
    needsComma = false
  }

  package mutating func object(_ body: (inout Self) throws -> Void) rethrows {
    open(UInt8(ascii: "{"))
    try body(&self)
    close(UInt8(ascii: "}"))
  }

  package mutating func array(_ body: (inout Self) throws -> Void) rethrows {
    open(UInt8(ascii: "["))
    try body(&self)
    close(UInt8(ascii: "]"))
  }

  package mutating func key(_ name: StaticString) {
    separate()
    bytes.append(34)
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(34)
    bytes.append(58)
    needsComma = false
  }

  package mutating func key(_ name: String) {
    value(name)
    bytes.append(58)
    needsComma = false
  }

  package mutating func value(_ text: String) {
    separate()
    Self.append(quoted: text, to: &bytes)
    needsComma = true
  }

  package mutating func value(_ id: UUID) { quoted(count: 36) { id.write(into: $0) } }

  /// - Parameter prefix: needs no escape.
  package mutating func value(_ prefix: StaticString, _ id: UUID) {
    let skip = prefix.utf8CodeUnitCount
    quoted(count: skip + 36) { text in
      prefix.withUTF8Buffer { _ = text.update(fromContentsOf: $0) }
      id.write(into: UnsafeMutableBufferPointer(rebasing: text[skip...]))
    }
  }

  /// A text of that many digits, with zeros before a shorter number.
  package mutating func value(_ number: Int64, digits: Int) {
    quoted(count: digits) { text in
      var rest = number.magnitude
      for index in text.indices.reversed() {
        text[index] = UInt8(48 + rest % 10)
        rest /= 10
      }
    }
  }

  package mutating func value(_ time: Timestamp) { quoted(count: 24) { time.write(into: $0) } }

  package mutating func value(_ number: some FixedWidthInteger) { literal(String(number)) }

  package mutating func value(_ flag: Bool) { literal(flag ? "true" : "false") }

  /// Shortest decimal that reads back the same; not-a-number and infinities, which JSON lacks, become null.
  package mutating func value(_ number: Double) { literal(number.isFinite ? "\(number)" : "null") }

  package mutating func null() { literal("null") }

  /// JSON text that is already whole: an object kept in the journal, say.
  package mutating func raw(_ json: [UInt8]) { raw(json[...]) }

  package mutating func raw(_ json: ArraySlice<UInt8>) {
    separate()
    bytes.append(contentsOf: json)
    needsComma = true
  }

  /// The members of a whole JSON object, without its braces, into the object now open.
  package mutating func members(of object: [UInt8]) {
    let inner = object.dropFirst().dropLast()
    if !inner.isEmpty { raw(inner) }
  }

  private mutating func literal(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
    needsComma = true
  }

  /// Characters that need no escape, written in place.
  private mutating func quoted(count: Int, _ write: (UnsafeMutableBufferPointer<UInt8>) -> Void) {
    separate()
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { text in
      write(text)
      bytes.append(34)
      bytes.append(contentsOf: text)
      bytes.append(34)
    }
    needsComma = true
  }

  private mutating func separate() { if needsComma { bytes.append(44) } }

  private mutating func open(_ mark: UInt8) {
    separate()
    bytes.append(mark)
    needsComma = false
  }

  private mutating func close(_ mark: UInt8) {
    bytes.append(mark)
    needsComma = true
  }

  private static func append(quoted text: String, to bytes: inout [UInt8]) {
    bytes.append(34)
    var text = text
    text.withUTF8 { utf8 in
      var plain = 0
      for index in 0..<utf8.count where utf8[index] < 32 || utf8[index] == 34 || utf8[index] == 92 {
        bytes.append(contentsOf: utf8[plain..<index])
        append(escaped: utf8[index], to: &bytes)
        plain = index + 1
      }
      bytes.append(contentsOf: utf8[plain...])
    }
    bytes.append(34)
  }

  private static func append(escaped byte: UInt8, to bytes: inout [UInt8]) {
    bytes.append(92)
    switch byte {
    case 34, 92: bytes.append(byte)
    case 8: bytes.append(UInt8(ascii: "b"))
    case 9: bytes.append(UInt8(ascii: "t"))
    case 10: bytes.append(UInt8(ascii: "n"))
    case 12: bytes.append(UInt8(ascii: "f"))
    case 13: bytes.append(UInt8(ascii: "r"))
    default: bytes.append(contentsOf: [117, 48, 48, Hex.digit(byte >> 4), Hex.digit(byte & 15)])
    }
  }
}

extension JSONWriter {
  package mutating func field(_ name: StaticString, _ text: String?) {
    key(name)
    if let text { value(text) } else { null() }
  }

  package mutating func field(_ name: StaticString, _ number: (some FixedWidthInteger)?) {
    key(name)
    if let number { value(number) } else { null() }
  }

  package mutating func field(_ name: StaticString, _ number: Double?) {
    key(name)
    if let number { value(number) } else { null() }
  }

  package mutating func field(_ name: StaticString, _ flag: Bool) {
    key(name)
    value(flag)
  }

  package mutating func field(_ name: StaticString, _ time: Timestamp?) {
    key(name)
    if let time { value(time) } else { null() }
  }

  package mutating func field(_ name: StaticString, _ id: UUID?) {
    key(name)
    if let id { value(id) } else { null() }
  }
}
