import CallModel
import Testing

@Suite struct NumberTests {
  @Test(
    arguments: [
      ("+1 415-555-0132", nil, "+14155550132"), ("(415) 555-0132", "US", "+14155550132"),
      ("1-415-555-0132", "US", "+14155550132"), ("020 7183 8750", "GB", "+442071838750"),
      ("0044 20 7183 8750", "DE", "+442071838750"), ("1002", "US", nil), ("anonymous", "US", nil),
      ("4155550132", nil, nil), ("*97", "US", nil),
    ] as [(String, String?, String?)])
  func aNumberIsE164OnlyWhereThatIsCertain(raw: String, region: String?, expected: String?) {
    #expect(PhoneRegion.international(raw, in: region.flatMap(PhoneRegion.init(code:))) == expected)
  }
}
