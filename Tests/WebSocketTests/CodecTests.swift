import Testing
import WebSocket

@Suite struct CodecTests {
  private func decode(_ pieces: [ArraySlice<UInt8>], role: WebSocketRole = .client, limit: Int = 1 << 20) throws
    -> [WebSocketMessage]
  {
    var decoder = WebSocketDecoder(role: role, messageLimit: limit)
    var found: [WebSocketMessage] = []
    for piece in pieces {
      decoder.feed(piece)
      while let message = try decoder.next() { found.append(message) }
    }
    return found
  }

  private func code(_ bytes: [UInt8], limit: Int = 1 << 20) -> UInt16? {
    do {
      _ = try decode([bytes[...]], limit: limit)
      return nil
    } catch { return (error as? WebSocketFault)?.code }
  }

  private let key: [UInt8] = [1, 2, 3, 4]

  @Test func framesMayBeCutAnywhereAndMixedWithControlFrames() throws {
    var bytes: [UInt8] = [0x01, 3] + Array("héé".utf8.prefix(3))
    bytes += WebSocketEncoder.frame(.ping, [9])
    bytes += [0x80, 2] + Array("héé".utf8.dropFirst(3).prefix(2))
    bytes += WebSocketEncoder.frame(.binary, [UInt8](repeating: 7, count: 300))
    bytes += WebSocketEncoder.frame(.close, WebSocketEncoder.closePayload(1000, "bye"))
    let expected: [WebSocketMessage] = [
      .ping([9]), .text(Array("héé".utf8)), .binary([UInt8](repeating: 7, count: 300)),
      .close(code: 1000, reason: "bye"),
    ]
    for cut in bytes.indices { #expect(try decode([bytes[..<cut], bytes[cut...]]) == expected) }
    #expect(try decode(bytes.indices.map { bytes[$0...$0] }) == expected)
  }

  @Test func maskedFramesAreUnmaskedWhateverTheCut() throws {
    let payload = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    let bytes = WebSocketEncoder.frame(.binary, payload, mask: key)
    for cut in stride(from: 0, to: bytes.count, by: 7) {
      #expect(try decode([bytes[..<cut], bytes[cut...]], role: .server) == [.binary(payload)])
    }
  }

  @Test func everyBreachHasItsCode() {
    #expect(code([0xC1, 0]) == 1002)  // RSV1
    #expect(code([0x83, 0]) == 1002)  // opcode 3
    #expect(code([0x8B, 0]) == 1002)  // opcode 11
    #expect(code([0x80, 0]) == 1002)  // continuation of nothing
    #expect(code([0x01, 0, 0x81, 0]) == 1002)  // a new message inside one
    #expect(code([0x09, 0]) == 1002)  // fragmented ping
    #expect(code([0x89, 126, 0, 126]) == 1002)  // long ping
    #expect(code([0x81, 126, 0, 5]) == 1002)  // length not in its shortest form
    #expect(code([0x81, 0x81, 1, 2, 3, 4, 0]) == 1002)  // masked, from a server
    #expect(code([0x88, 1, 3]) == 1002)  // half a close code
    for bad in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] as [UInt16] {
      #expect(code(WebSocketEncoder.frame(.close, [UInt8(bad >> 8), UInt8(bad & 255)])) == 1002)
    }
    #expect(code(WebSocketEncoder.frame(.close, [3, 232, 0xff])) == 1007)
    #expect(code(WebSocketEncoder.frame(.text, [0xff])) == 1007)
    #expect(code(WebSocketEncoder.frame(.text, [0xe2, 0x82])) == 1007)
    #expect(code([0x01, 1, 0xff]) == 1007)  // refused at its first byte, not at the end
    #expect(code([0x82, 127, 0, 0, 0, 0, 0, 16, 0, 1]) == 1009)
    #expect(code([0x02, 100] + [UInt8](repeating: 0, count: 100) + [0x80, 100], limit: 150) == 1009)
  }

  @Test func anUnmaskedClientIsRefused() {
    #expect(throws: WebSocketFault.self) { try decode([[0x81, 0]], role: .server) }
  }

  @Test func utf8IsCheckedAsItComes() throws {
    for text in ["κόσμε", "\u{10FFFF}", "\u{800}", "\u{FFFF}", "a😀b"] {
      let bytes = WebSocketEncoder.frame(.text, Array(text.utf8))
      #expect(try decode(bytes.indices.map { bytes[$0...$0] }) == [.text(Array(text.utf8))])
    }
    for bytes in [
      [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xf0, 0x80, 0x80, 0xaf],
      [0xf8, 0x88, 0x80, 0x80, 0x80],
    ] as [[UInt8]] {
      #expect(code(WebSocketEncoder.frame(.text, bytes)) == 1007)
    }
  }

  @Test func lengthsAreWrittenInTheirShortestForm() throws {
    for size in [0, 125, 126, 65_535, 65_536, 70_000] {
      let bytes = WebSocketEncoder.frame(.binary, [UInt8](repeating: 1, count: size))
      #expect(bytes.count == size + (size < 126 ? 2 : size < 65_536 ? 4 : 10))
      #expect(try decode([bytes[...]]) == [.binary([UInt8](repeating: 1, count: size))])
    }
  }

  @Test func aCloseReasonIsCutBetweenCharacters() {
    let payload = WebSocketEncoder.closePayload(4008, String(repeating: "é", count: 100))
    #expect(payload.count <= 125)
    #expect(String(validating: payload.dropFirst(2), as: UTF8.self) != nil)
  }

  @Test func randomBytesNeverTrap() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      var decoder = WebSocketDecoder(role: Bool.random(using: &random) ? .server : .client, messageLimit: 1000)
      decoder.feed(
        (0..<Int.random(in: 0..<64, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random) & (Bool.random(using: &random) ? 0x8f : 0xff)
        })
      while (try? decoder.next()) ?? nil != nil {}
    }
  }
}
