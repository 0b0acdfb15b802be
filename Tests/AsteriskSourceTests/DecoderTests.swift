import AsteriskSource
import Basics
import TestSupport
import Testing

@Suite struct DecoderTests {
  private func messages(_ pieces: [ArraySlice<UInt8>]) throws -> [[String]] {
    var decoder = AMIDecoder()
    var found: [[String]] = []
    for piece in pieces {
      decoder.feed(Array(piece))
      while try decoder.next() { found.append(decoder.all.map { "\($0.key)=\($0.value)" }) }
    }
    return found
  }

  @Test func bytesMayBeCutAnywhere() throws {
    let bytes = Fixtures.bytes("asterisk/ami/odd-strings.txt").prefix(6000)
    let whole = try messages([bytes])
    #expect(whole.count > 5)
    for cut in bytes.indices { #expect(try messages([bytes[..<cut], bytes[cut...]]) == whole) }
  }

  @Test func bytesMayComeOneByOne() throws {
    let bytes = Fixtures.bytes("asterisk/ami/burst-20.txt")
    #expect(try messages(bytes.indices.map { bytes[$0...$0] }) == messages([bytes[...]]))
  }

  @Test func oneBlankBehindTheColonIsDroppedAndNoMore() throws {
    var decoder = AMIDecoder(expectsBanner: false)
    decoder.feed(
      Array("Event: X\r\nCallerIDName:  Leading: space \r\nEmpty: \r\nBare:\r\nno colon here\r\nx-KEY: v\r\n\r\n".utf8))
    #expect(try decoder.next())
    #expect(decoder.value("CallerIDName") == " Leading: space ")
    #expect(decoder.value("Empty") == "")
    #expect(decoder.value("Bare") == "")
    #expect(decoder.value("X-Key") == "v")
    #expect(decoder.fieldCount == 5)
  }

  @Test func repeatedKeysAreKeptInOrder() throws {
    var decoder = AMIDecoder(expectsBanner: false)
    decoder.feed(Array("ChanVariable: a=1\r\nChanVariable: b=2\r\n\r\n\r\nEvent: Y\r\n\r\n".utf8))
    #expect(try decoder.next())
    #expect(decoder.all.map(\.value) == ["a=1", "b=2"])
    #expect(try decoder.next())
    #expect(decoder.matches("Event", "Y"))
  }

  @Test func whatIsNoAMIIsSaidAtOnce() {
    var decoder = AMIDecoder()
    decoder.feed(Array("HTTP/1.1 400 Bad Request\r\n".utf8))
    #expect(throws: AMIFault.notAMI("HTTP/1.1 400 Bad Request")) { try decoder.next() }
  }

  @Test func aLineWithoutEndIsRefusedBeforeItFillsTheMemory() {
    var decoder = AMIDecoder(expectsBanner: false)
    decoder.feed([UInt8](repeating: 65, count: AMIDecoder.lineLimit + 2))
    #expect(throws: AMIFault.lineTooLong) { try decoder.next() }
  }

  @Test func randomBytesNeverTrap() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var decoder = AMIDecoder(expectsBanner: false)
      let alphabet: [UInt8] = [13, 10, 58, 32, 65, 0, 255, 195]
      decoder.feed((0..<Int.random(in: 0..<200)).map { _ in alphabet.randomElement(using: &random)! })
      while (try? decoder.next()) == true { _ = decoder.observation(at: Timestamp(microseconds: 0)) }
    }
  }
}
