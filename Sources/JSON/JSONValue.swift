// Reads JSON strictly (RFC 8259): bounded depth, valid UTF-8, no trailing text. For request bodies, the journal's
// rows and the CLI; nothing on the event path reads JSON.

internal import Basics

/// What is wrong with a JSON text, and at which byte.
package struct JSONError: Error, Equatable, CustomStringConvertible {
  package let offset: Int
  package let reason: String

  package var description: String { "\(reason) at byte \(offset)" }
}

package enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  case string(String)
  case array([JSONValue])
  /// Members in the order of the text; of a repeated name the last counts.
  case object([(String, JSONValue)])

  /// Nesting beyond this is refused, so that a hostile text cannot exhaust the stack.
  package static let depthLimit = 64

  package init(parsing bytes: [UInt8]) throws(JSONError) {
    var parser = JSONParser(bytes)
    self = try parser.document()
  }

  package static func == (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a == b
    case (.int(let a), .double(let b)), (.double(let b), .int(let a)): Double(a) == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    // Of a repeated name the last counts, on both sides.
    case (.object(let a), .object(let b)): (a + b).allSatisfy { left[$0.0] == right[$0.0] }
    case (.null, _), (.bool, _), (.int, _), (.double, _), (.string, _), (.array, _), (.object, _): false
    }
  }
}

extension JSONValue {
  package subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.0 == name }?.1
  }

  package var string: String? { if case .string(let text) = self { text } else { nil } }
  package var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
  package var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
  package var members: [(String, JSONValue)]? { if case .object(let members) = self { members } else { nil } }

  package var int: Int64? {
    switch self {
    case .int(let number): number
    case .double(let number): Int64(exactly: number)
    case .null, .bool, .string, .array, .object: nil
    }
  }

  package var double: Double? {
    switch self {
    case .int(let number): Double(number)
    case .double(let number): number
    case .null, .bool, .string, .array, .object: nil
    }
  }

  package func write(to json: inout JSONWriter) {
    switch self {
    case .null: json.null()
    case .bool(let flag): json.value(flag)
    case .int(let number): json.value(number)
    case .double(let number): json.value(number)
    case .string(let text): json.value(text)
    case .array(let items): json.array { json in for item in items { item.write(to: &json) } }
    case .object(let members):
      json.object { json in
        for (name, value) in members {
          json.key(name)
          value.write(to: &json)
        }
      }
    }
  }
}

struct JSONParser {
  private let bytes: [UInt8]
  private var at = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value(depth: 0)
    skipBlanks()
    guard at == bytes.count else { throw fault("text after the value") }
    return value
  }

  private func fault(_ reason: String) -> JSONError { JSONError(offset: at, reason: reason) }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipBlanks() {
    while at < bytes.count, [32, 9, 10, 13].contains(bytes[at]) { at += 1 }
  }

  private mutating func take(_ mark: UInt8) -> Bool {
    guard peek == mark else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= JSONValue.depthLimit else { throw fault("nested deeper than \(JSONValue.depthLimit)") }
    skipBlanks()
    guard let first = peek else { throw fault("the text ends where a value should be") }
    switch first {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw fault("no value begins like this")
    }
  }

  private mutating func literal(_ text: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    guard bytes[at...].starts(with: text.utf8) else { throw fault("expected \(text)") }
    at += text.utf8.count
    return value
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    at += 1
    var members: [(String, JSONValue)] = []
    skipBlanks()
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipBlanks()
      guard peek == UInt8(ascii: "\"") else { throw fault("expected a member name") }
      let name = try string()
      skipBlanks()
      guard take(UInt8(ascii: ":")) else { throw fault("expected a colon") }
      members.append((name, try value(depth: depth + 1)))
      skipBlanks()
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw fault("expected a comma or the end of the object") }
    }
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    at += 1
    var items: [JSONValue] = []
    skipBlanks()
    if take(UInt8(ascii: "]")) { return .array(items) }
    while true {
      items.append(try value(depth: depth + 1))
      skipBlanks()
      if take(UInt8(ascii: "]")) { return .array(items) }
      guard take(UInt8(ascii: ",")) else { throw fault("expected a comma or the end of the array") }
    }
  }

  private mutating func digits() -> Int {
    let start = at
    while let byte = peek, (48...57).contains(byte) { at += 1 }
    return at - start
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = at
    _ = take(UInt8(ascii: "-"))
    if take(UInt8(ascii: "0")) {
      if let byte = peek, (48...57).contains(byte) { throw fault("a number begins with a zero") }
    } else if digits() == 0 {
      throw fault("expected a digit")
    }
    var isWhole = true
    if take(UInt8(ascii: ".")) {
      isWhole = false
      if digits() == 0 { throw fault("expected a digit after the point") }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isWhole = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      if digits() == 0 { throw fault("expected a digit in the exponent") }
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isWhole, let number = Int64(text) { return .int(number) }
    guard let number = Double(text), number.isFinite else { throw fault("the number is out of range") }
    return .double(number)
  }

  private mutating func string() throws(JSONError) -> String {
    at += 1
    var out: [UInt8] = []
    while true {
      let start = at
      while at < bytes.count, bytes[at] != 34, bytes[at] != 92, bytes[at] >= 32 { at += 1 }
      out.append(contentsOf: bytes[start..<at])
      guard let byte = peek else { throw fault("the text ends inside a string") }
      at += 1
      if byte == 34 { break }
      guard byte == 92 else { throw fault("a control character inside a string") }
      try escape(into: &out)
    }
    guard let text = String(validating: out, as: UTF8.self) else { throw fault("a string is not UTF-8") }
    return text
  }

  private mutating func escape(into out: inout [UInt8]) throws(JSONError) {
    guard let byte = peek else { throw fault("the text ends inside an escape") }
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "b"): out.append(8)
    case UInt8(ascii: "f"): out.append(12)
    case UInt8(ascii: "n"): out.append(10)
    case UInt8(ascii: "r"): out.append(13)
    case UInt8(ascii: "t"): out.append(9)
    case UInt8(ascii: "u"): try out.append(contentsOf: String(unicodeEscape()).utf8)
    default: throw fault("no such escape")
    }
  }

  private mutating func unicodeEscape() throws(JSONError) -> Character {
    let first = try unit()
    guard (0xD800...0xDBFF).contains(first) else {
      guard let scalar = Unicode.Scalar(first) else { throw fault("half of a surrogate pair") }
      return Character(scalar)
    }
    guard take(92), take(UInt8(ascii: "u")) else { throw fault("half of a surrogate pair") }
    let second = try unit()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw fault("half of a surrogate pair") }
    return Character(scalar)
  }

  private mutating func unit() throws(JSONError) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let nibble = Hex.value(byte) else { throw fault("expected four hex digits") }
      unit = unit << 4 | UInt32(nibble)
      at += 1
    }
    return unit
  }
}
