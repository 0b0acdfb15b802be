// RFC 6455 frames, written whole: one for many subscribers.

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
