import Basics
import Foundation
import JSON
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "01", "-", "1.", "1e", "+1", ".5", "nul", "\"\u{01}\"", "\"\\x\"", "\"\\ud800\"",
    "\"\\udc00\\ud800\"", "[1] 2",
    "{1:2}", "{\"a\" 1}", "'a'", "NaN", "1e999", "\u{feff}1", "[\"a\"", "\"abc",
  ])
  func whatIsNoJSONIsRefused(text: String) { #expect(throws: JSONError.self) { try parse(text) } }

  @Test func badUTF8IsRefused() {
    for bytes in [[34, 0xff, 34], [34, 0xc0, 0x80, 34], [34, 0xed, 0xa0, 0x80, 34], [34, 0xe2, 0x82, 34]] as [[UInt8]] {
      #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }
  }

  @Test func nestingHasALimit() {
    #expect(throws: Never.self) { try parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60)) }
    #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 100_000)) }
  }

  @Test func valuesAreReadAsTheyAre() throws {
    #expect(
      try parse(" {\"a\":[1,-2.5,1e2,true,false,null,\"x\\u00e9\\ud83d\\ude00\\n\"]} ")
        == .object([
          ("a", .array([.int(1), .double(-2.5), .double(100), .bool(true), .bool(false), .null, .string("xé😀\n")]))
        ]))
    #expect(try parse("{\"a\":1,\"a\":2}")["a"]?.int == 2)
    #expect(try parse("9223372036854775807").int == .max)
    #expect(try parse("9223372036854775808").double == 9_223_372_036_854_775_808)
  }

  @Test func ofARepeatedNameTheLastCounts() throws {
    #expect(try parse("{\"a\":1,\"a\":2}") == parse("{\"a\":2}"))
    #expect(try parse("{\"a\":1}") != parse("{\"a\":1,\"b\":null,\"a\":2}"))
  }

  @Test func whatIsWrittenReadsBack() throws {
    let value = JSONValue.object([
      ("t", .string("a\"\\\u{1}\t\u{2028}é")), ("n", .double(0.1)), ("l", .array([.int(-5), .null])),
    ])
    var json = JSONWriter()
    value.write(to: &json)
    #expect(try JSONValue(parsing: json.bytes) == value)
  }

  /// Foundation's parser is the judge of random texts made of the right characters. It is laxer in one thing: a line
  /// end inside a string, which RFC 8259 §7 forbids.
  @Test func identifiersTimesAndPositionsAreTexts() {
    var json = JSONWriter()
    let id = UUID(high: 0x0123_4567_89ab_8fff, low: .max)
    json.array { json in
      json.value(id)
      json.value("call/", id)
      json.value(Timestamp(microseconds: 1_760_000_000_000_000))
      json.value(42, digits: 20)
      json.value(.max, digits: 20)
    }
    #expect(
      json.text
        == """
        ["\(id)","call/\(id)","2025-10-09T08:53:20.000Z","00000000000000000042","09223372036854775807"]
        """)
  }

  @Test func randomTextsAreJudgedAsFoundationJudgesThem() {
    var random = Seeded(state: 7)
    let alphabet = Array("{}[]:,\"\\ue10-.+ tfn\n".utf8)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 1..<12, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
      let ours = (try? JSONValue(parsing: bytes)) != nil
      let theirs = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
      #expect(ours == theirs || theirs && bytes.contains(10), "\(String(decoding: bytes, as: UTF8.self))")
    }
  }

  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }
}
