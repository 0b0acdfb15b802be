// The Asterisk Manager Interface out of bytes: one pass that finds lines and colons, and no copy until somebody asks
// for a value (measured against a bare memchr pass by scripts/bench.sh).
//
// A message is header lines `Key: Value`, ended by an empty line. Keys repeat; exactly one blank after the colon is
// dropped, since leading blanks can belong to a caller's name; a line without a colon is kept and ignored.
// (facts observed on Asterisk 22.10.1: Fixtures/asterisk/odd-strings, protocol-errors)

internal import Glibc

/// The bytes are no AMI, or more than a PBX sends.
package enum AMIFault: Error, Equatable {
  /// The first line is not `Asterisk Call Manager/…`; here is how it begins.
  case notAMI(String)
  case lineTooLong
  case tooManyLines
}

package struct AMIDecoder {
  struct Field {
    let key: UInt32
    let colon: UInt32
    let value: UInt32
    let end: UInt32
  }

  /// Asterisk writes no line above 64 KiB; what is longer is no AMI.
  package static let lineLimit = 65_536
  package static let fieldLimit = 4096

  private var buffer: [UInt8] = []
  private var start = 0
  private var scanned = 0
  private var messageStart = 0
  private var fields: [Field] = []
  private var isWhole = false
  /// `11.0.0`, once the banner has come.
  package private(set) var version: String?

  package init(expectsBanner: Bool = true) { if !expectsBanner { version = "" } }

  package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
    if isWhole { dropMessage() }
    if start > 0, start == buffer.count || start > 262_144 {
      buffer.removeFirst(start)
      scanned -= start
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  package mutating func feed(_ bytes: [UInt8]) { bytes.withUnsafeBytes { feed($0) } }

  /// True when a whole message is at hand; it stays readable until the next call of `next` or `feed`.
  package mutating func next() throws(AMIFault) -> Bool {
    if isWhole { dropMessage() }
    if version == nil, try !readBanner() { return false }
    return try scan()
  }

  private mutating func dropMessage() {
    start = scanned
    fields.removeAll(keepingCapacity: true)
    isWhole = false
  }

  private mutating func readBanner() throws(AMIFault) -> Bool {
    let prefix = Array("Asterisk Call Manager/".utf8)
    let line = buffer[start...]
    guard line.prefix(prefix.count).elementsEqual(prefix.prefix(line.count)) else {
      throw .notAMI(String(decoding: line.prefix { $0 >= 32 && $0 < 127 }.prefix(40), as: UTF8.self))
    }
    guard let end = line.firstIndex(of: 10) else {
      if line.count > 128 { throw .notAMI(String(decoding: line.prefix(40), as: UTF8.self)) }
      return false
    }
    version = String(decoding: line[..<end].dropFirst(prefix.count).filter { $0 > 32 }, as: UTF8.self)
    (start, scanned) = (end + 1, end + 1)
    return true
  }

  /// Reads lines up to an empty one. Offsets are kept relative to `start`, so that feeding may move the bytes.
  private mutating func scan() throws(AMIFault) -> Bool {
    var found = fields
    fields = []
    defer { fields = found }
    let (at, outcome) = buffer.withUnsafeBufferPointer { bytes in
      Self.readLines(bytes, from: scanned, base: start, into: &found)
    }
    scanned = at
    if found.isEmpty { start = at }
    isWhole = outcome == .whole
    switch outcome {
    case .whole, .wantsMore: return isWhole
    case .tooLong: throw .lineTooLong
    case .tooMany: throw .tooManyLines
    }
  }

  private enum Outcome { case whole, wantsMore, tooLong, tooMany }

  private static func readLines(
    _ bytes: UnsafeBufferPointer<UInt8>, from scanned: Int, base: Int, into fields: inout [Field]
  ) -> (at: Int, Outcome) {
    guard let memory = bytes.baseAddress else { return (scanned, .wantsMore) }
    var at = scanned
    while at < bytes.count {
      let left = bytes.count - at
      guard let newline = memchr(memory + at, 10, left) else { return (at, left > lineLimit ? .tooLong : .wantsMore) }
      let line = at
      var end = UnsafeRawPointer(newline) - UnsafeRawPointer(memory)
      at = end + 1
      if end > line, memory[end - 1] == 13 { end -= 1 }
      if end == line {
        if fields.isEmpty { continue }
        return (at, .whole)
      }
      if end - line > lineLimit { return (at, .tooLong) }
      append(memory, line, end, base, &fields)
      if fields.count > fieldLimit { return (at, .tooMany) }
    }
    return (at, .wantsMore)
  }

  @inline(__always)
  private static func append(
    _ memory: UnsafePointer<UInt8>, _ line: Int, _ end: Int, _ base: Int, _ fields: inout [Field]
  ) {
    // Keys are short: looking at bytes beats a second memchr call.
    var colon = line
    while colon < end, memory[colon] != 58 { colon += 1 }
    guard colon < end else { return }
    var value = colon + 1
    if value < end, memory[value] == 32 { value += 1 }
    fields.append(
      Field(
        key: UInt32(truncatingIfNeeded: line - base), colon: UInt32(truncatingIfNeeded: colon - base),
        value: UInt32(truncatingIfNeeded: value - base), end: UInt32(truncatingIfNeeded: end - base)))
  }

  // MARK: The message at hand

  package var fieldCount: Int { fields.count }

  /// The value's bytes as text, bad UTF-8 replaced; nil when there is no such line. Keys compare without case.
  /// - Parameter block: what the key begins with where a message describes several channels: `Dest`, `Transferee` …
  package func value(_ key: StaticString, in block: StaticString = "") -> String? {
    guard let field = find(key, in: block) else { return nil }
    return text(field)
  }

  /// As `value`, and empty where Asterisk says that it does not know: `<unknown>`, `unknown`, `(null)`.
  package func known(_ key: StaticString, in block: StaticString = "") -> String {
    guard let text = value(key, in: block), text != "<unknown>", text != "unknown", text != "(null)" else { return "" }
    return text
  }

  package func has(_ key: StaticString) -> Bool { find(key) != nil }

  package func number(_ key: StaticString) -> Int? { value(key).flatMap { Int($0) } }

  /// Whether the line is there with exactly this value.
  package func matches(_ key: StaticString, _ text: StaticString) -> Bool {
    guard let field = find(key), Int(field.end - field.value) == text.utf8CodeUnitCount else { return false }
    return buffer.withUnsafeBufferPointer { bytes in
      memcmp(bytes.baseAddress! + start + Int(field.value), text.utf8Start, text.utf8CodeUnitCount) == 0
    }
  }

  /// All lines, in order.
  package var all: [(key: String, value: String)] {
    fields.map { field in
      (String(decoding: buffer[start + Int(field.key)..<start + Int(field.colon)], as: UTF8.self), text(field))
    }
  }

  private func text(_ field: Field) -> String {
    String(decoding: buffer[start + Int(field.value)..<start + Int(field.end)], as: UTF8.self)
  }

  @inline(__always)
  private func find(_ key: StaticString, in block: StaticString = "") -> Field? {
    let (skip, length) = (block.utf8CodeUnitCount, key.utf8CodeUnitCount)
    return buffer.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return nil }
      return fields.first { field in
        let name = base + start + Int(field.key)
        return Int(field.colon - field.key) == skip + length && Self.isEqual(name, block.utf8Start, skip)
          && Self.isEqual(name + skip, key.utf8Start, length)
      }
    }
  }

  @inline(__always)
  private static func isEqual(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ length: Int) -> Bool {
    left.withMemoryRebound(to: CChar.self, capacity: length) { left in
      right.withMemoryRebound(to: CChar.self, capacity: length) { right in strncasecmp(left, right, length) == 0 }
    }
  }
}
