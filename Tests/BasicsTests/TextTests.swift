import Basics
import Crypto
import Testing

@Suite struct TextTests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ])
  func base64IsThatOfRFC4648(plain: String, encoded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == encoded)
    #expect(Base64.decode(encoded) == Array(plain.utf8))
  }

  @Test func base64WithForeignCharactersIsRefused() {
    for text in ["Zg=", "Z===", "Zg==\n", "Z-_v", "====", "="] {
      #expect(Base64.decode(text).map { $0.count < 2 } ?? true)
    }
  }

  @Test func whatIsNotPlainIsEscapedByteByByte() {
    #expect("sip:1002@pbx;x".percentEncoded == "sip%3A1002%40pbx%3Bx")
    #expect("Zoë 1/2".percentEncoded == "Zo%C3%AB%201%2F2")
    #expect("a-b._~9".percentEncoded == "a-b._~9")
  }

  @Test func aTimestampReadsBackWhatItWrites() {
    for microseconds in [0, 1_795_217_056_115_000, -1_000_000, 4_102_444_799_999_000] as [Int64] {
      let time = Timestamp(microseconds: microseconds)
      #expect(Timestamp(rfc3339: time.description) == Timestamp(microseconds: microseconds - microseconds % 1000))
    }
  }

  @Test(arguments: [
    ("2026-11-20T12:00:05.123Z", 1_795_176_005_123_000), ("2026-11-20T13:00:05.123+01:00", 1_795_176_005_123_000),
    ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
  ])
  func anOffsetIsTakenIntoAccount(text: String, microseconds: Int64) {
    #expect(Timestamp(rfc3339: text)?.microseconds == microseconds)
  }

  @Test(arguments: [
    "2026-02-29T00:00:00Z", "2026-11-20", "2026-11-20T24:00:00Z", "2026-13-01T00:00:00Z", "2026-11-20T12:00:05.Z",
    "2026-11-20T12:00:05", "",
  ])
  func whatIsNoTimeIsRefused(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

  @Test func aUUIDReadsBackAndSaysItsVersion() {
    let id = UUID(milliseconds: 0x0123_4567_89ab, digest: (.max, .max))
    #expect(id.description == "01234567-89ab-8fff-bfff-ffffffffffff")
    #expect(UUID(id.description) == id)
    #expect(UUID(bytes: id.bytes) == id)
    #expect(UUID(bytes: Array(id.bytes.dropLast())) == nil)
    #expect(UUID("01234567-89ab-8fff-bfff-fffffffffff") == nil)
  }

  @Test func aSecretCannotBePrinted() {
    let secret = Secret("hunter2")
    for text in ["\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])"] {
      #expect(!text.contains("hunter2"))
    }
    var dumped = ""
    dump(secret, to: &dumped)
    #expect(!dumped.contains("hunter2"))
  }

  @Test func theDigestsAreTheStandardOnes() {
    #expect(
      Hex.encode(Digest.sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    #expect(Hex.encode(Digest.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    #expect(Hex.encode(Digest.md5(Array("abc".utf8))) == "900150983cd24fb0d6963f7d28e17f72")
    #expect(
      Hex.encode(Digest.hmacSHA256(Array("what do ya want for nothing?".utf8), key: Secret(Array("Jefe".utf8))))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  }

  @Test func anEmptyKeyIsNotTheKeyBefore() {
    _ = Digest.hmacSHA256([1], key: Secret([1, 2, 3]))
    #expect(
      Hex.encode(Digest.hmacSHA256([], key: Secret([])))
        == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
  }
}
