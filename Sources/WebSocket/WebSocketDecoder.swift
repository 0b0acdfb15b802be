// RFC 6455 frames as a value machine: bytes in, messages out, for either end of the wire.

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
