// RFC 6455 frames and messages as a value machine: bytes in, messages out, for either end of the wire.

/// What arrived: whole messages and control frames, in order.
package enum WebSocketMessage: Equatable, Sendable {
  case text([UInt8])
  case binary([UInt8])
  case ping([UInt8])
  case pong([UInt8])
  case close(code: UInt16?, reason: String)
}

/// A breach of the protocol, and the code to close with (RFC 6455 §7.4.1).
package struct WebSocketFault: Error, Equatable {
  package let code: UInt16
  package let reason: String
}

package enum WebSocketRole: Sendable { case server, client }

package enum WebSocketOpcode: UInt8 {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}

package struct WebSocketDecoder {
  private struct Header {
    let isFinal: Bool
    let opcode: WebSocketOpcode
    let mask: (UInt8, UInt8, UInt8, UInt8)?
    let length: Int
  }

  private let role: WebSocketRole
  private let messageLimit: Int
  private var buffer: [UInt8] = []
  private var start = 0
  private var header: Header?
  private var unread = 0
  private var message: [UInt8] = []
  private var messageKind: WebSocketOpcode?
  private var control: [UInt8] = []
  private var utf8 = UTF8Validator()
  private var isClosed = false

  /// - Parameter messageLimit: largest message in bytes, all its fragments together; more is refused with 1009.
  package init(role: WebSocketRole, messageLimit: Int) {
    self.role = role
    self.messageLimit = messageLimit
  }

  package mutating func feed(_ bytes: some Collection<UInt8>) {
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 65_536)
      start = 0
    } else if start > 65_536 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next message, or nil until more bytes come. After a close frame nothing more is read (§5.5.1).
  package mutating func next() throws(WebSocketFault) -> WebSocketMessage? {
    while !isClosed {
      if header == nil {
        guard let found = try readHeader() else { return nil }
        header = found
        unread = found.length
      }
      guard let current = header, try readPayload(of: current) else { return nil }
      header = nil
      if let message = try finish(current) { return message }
    }
    return nil
  }

  // MARK: Header

  private mutating func readHeader() throws(WebSocketFault) -> Header? {
    guard buffer.count - start >= 2 else { return nil }
    let (first, second) = (buffer[start], buffer[start + 1])
    guard first & 0x70 == 0 else { throw WebSocketFault(code: 1002, reason: "a reserved bit is set") }
    guard let opcode = WebSocketOpcode(rawValue: first & 15) else {
      throw WebSocketFault(code: 1002, reason: "an unknown opcode")
    }
    let (isFinal, isMasked, short) = (first & 0x80 != 0, second & 0x80 != 0, Int(second & 0x7f))
    try check(opcode, isFinal: isFinal, isMasked: isMasked, short: short)
    let extra = short == 126 ? 2 : short == 127 ? 8 : 0
    let size = 2 + extra + (isMasked ? 4 : 0)
    guard buffer.count - start >= size else { return nil }
    let length = try length(short: short, extra: extra)
    let mask = buffer[(start + 2 + extra)...].prefix(4)
    let at = mask.startIndex
    start += size
    return Header(
      isFinal: isFinal, opcode: opcode, mask: isMasked ? (mask[at], mask[at + 1], mask[at + 2], mask[at + 3]) : nil,
      length: length)
  }

  private func check(_ opcode: WebSocketOpcode, isFinal: Bool, isMasked: Bool, short: Int) throws(WebSocketFault) {
    guard isMasked == (role == .server) else {
      throw WebSocketFault(
        code: 1002, reason: isMasked ? "a masked frame from a server" : "an unmasked frame from a client")
    }
    if opcode.isControl {
      guard isFinal, short <= 125 else {
        throw WebSocketFault(code: 1002, reason: "a control frame is fragmented or too long")
      }
    } else if (opcode == .continuation) != (messageKind != nil) {
      throw WebSocketFault(code: 1002, reason: "a fragment out of turn")
    }
  }

  private func length(short: Int, extra: Int) throws(WebSocketFault) -> Int {
    guard extra > 0 else { return short }
    let length = buffer[(start + 2)..<(start + 2 + extra)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length < 1 << 63, length >= (extra == 2 ? 126 : 65_536) else {
      throw WebSocketFault(code: 1002, reason: "the length is not in its shortest form")
    }
    guard length <= UInt64(messageLimit - message.count) else {
      throw WebSocketFault(code: 1009, reason: "the message is larger than \(messageLimit) bytes")
    }
    return Int(length)
  }

  // MARK: Payload

  /// Takes what is there; true when the frame's payload is whole. Text is checked as it comes, so that bad UTF-8 is
  /// refused at its first byte.
  private mutating func readPayload(of header: Header) throws(WebSocketFault) -> Bool {
    guard message.count + unread <= messageLimit || header.opcode.isControl else {
      throw WebSocketFault(code: 1009, reason: "the message is larger than \(messageLimit) bytes")
    }
    let size = min(unread, buffer.count - start)
    if size > 0 {
      if let mask = header.mask { unmask(size, mask, phase: header.length - unread) }
      let piece = buffer[start..<start + size]
      let kind = messageKind ?? header.opcode
      if header.opcode.isControl {
        control.append(contentsOf: piece)
      } else {
        if kind == .text, !utf8.feed(piece) { throw WebSocketFault(code: 1007, reason: "the text is not UTF-8") }
        message.append(contentsOf: piece)
      }
      start += size
      unread -= size
    }
    return unread == 0
  }

  private mutating func unmask(_ size: Int, _ mask: (UInt8, UInt8, UInt8, UInt8), phase: Int) {
    let key = [mask.0, mask.1, mask.2, mask.3]
    let from = start
    buffer.withUnsafeMutableBytes { bytes in
      let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(key[(phase + $1) & 3]) << UInt64(8 * $1) }
      var at = 0
      while at + 8 <= size {
        let value = bytes.loadUnaligned(fromByteOffset: from + at, as: UInt64.self)
        bytes.storeBytes(of: value ^ word, toByteOffset: from + at, as: UInt64.self)
        at += 8
      }
      while at < size {
        bytes[from + at] ^= key[(phase + at) & 3]
        at += 1
      }
    }
  }

  private mutating func finish(_ header: Header) throws(WebSocketFault) -> WebSocketMessage? {
    switch header.opcode {
    case .ping: return .ping(takeControl())
    case .pong: return .pong(takeControl())
    case .close: return try close(takeControl())
    case .text, .binary, .continuation:
      if header.opcode != .continuation { messageKind = header.opcode }
      guard header.isFinal else { return nil }
      return try takeMessage()
    }
  }

  private mutating func takeControl() -> [UInt8] {
    defer { control = [] }
    return control
  }

  private mutating func takeMessage() throws(WebSocketFault) -> WebSocketMessage {
    let isText = messageKind == .text
    guard !isText || utf8.isComplete else {
      throw WebSocketFault(code: 1007, reason: "the text ends inside a character")
    }
    defer { (message, messageKind, utf8) = ([], nil, UTF8Validator()) }
    return isText ? .text(message) : .binary(message)
  }

  private mutating func close(_ payload: [UInt8]) throws(WebSocketFault) -> WebSocketMessage {
    isClosed = true
    if payload.isEmpty { return .close(code: nil, reason: "") }
    guard payload.count >= 2 else { throw WebSocketFault(code: 1002, reason: "half a close code") }
    let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
    guard Self.isSendable(code) else { throw WebSocketFault(code: 1002, reason: "a close code that may not be sent") }
    guard let reason = String(validating: payload.dropFirst(2), as: UTF8.self) else {
      throw WebSocketFault(code: 1007, reason: "the close reason is not UTF-8")
    }
    return .close(code: code, reason: reason)
  }

  /// Codes that may be on the wire: RFC 6455 §7.4.2 and the IANA registry of 2026 (1012 to 1014 added).
  package static func isSendable(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}

/// UTF-8 as a state machine, so that a message can be checked while it arrives (RFC 3629).
struct UTF8Validator {
  private var needed = 0
  private var lower: UInt8 = 0x80
  private var upper: UInt8 = 0xBF

  var isComplete: Bool { needed == 0 }

  /// False as soon as the bytes so far cannot begin any text.
  mutating func feed(_ bytes: ArraySlice<UInt8>) -> Bool {
    for byte in bytes {
      if needed == 0 {
        if byte < 0x80 { continue }
        guard begin(byte) else { return false }
      } else {
        guard byte >= lower, byte <= upper else { return false }
        (lower, upper) = (0x80, 0xBF)
        needed -= 1
      }
    }
    return true
  }

  private mutating func begin(_ byte: UInt8) -> Bool {
    switch byte {
    case 0xC2...0xDF: needed = 1
    case 0xE0: (needed, lower) = (2, 0xA0)
    case 0xED: (needed, upper) = (2, 0x9F)
    case 0xE1...0xEF: needed = 2
    case 0xF0: (needed, lower) = (3, 0x90)
    case 0xF1...0xF3: needed = 3
    case 0xF4: (needed, upper) = (3, 0x8F)
    default: return false
    }
    return true
  }
}

package enum WebSocketEncoder {
  /// A whole frame; masked when the sender is a client (§5.3 asks for unpredictable keys).
  package static func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8], mask: [UInt8]? = nil) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(payload.count + 14)
    out.append(0x80 | opcode.rawValue)
    let flag: UInt8 = mask == nil ? 0 : 0x80
    switch payload.count {
    case ...125: out.append(flag | UInt8(payload.count))
    case ...65_535: out.append(contentsOf: [flag | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)])
    default:
      out.append(flag | 127)
      for shift in stride(from: 56, through: 0, by: -8) {
        out.append(UInt8(truncatingIfNeeded: payload.count >> shift))
      }
    }
    guard let mask else { return out + payload }
    out.append(contentsOf: mask)
    for (index, byte) in payload.enumerated() { out.append(byte ^ mask[index & 3]) }
    return out
  }

  package static func closePayload(_ code: UInt16?, _ reason: String) -> [UInt8] {
    guard let code else { return [] }
    var text = Array(reason.utf8.prefix(123))
    while String(validating: text, as: UTF8.self) == nil { text.removeLast() }
    return [UInt8(code >> 8), UInt8(code & 255)] + text
  }
}
