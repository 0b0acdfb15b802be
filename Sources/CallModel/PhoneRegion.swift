// E.164 from what was dialled, where the numbering plan leaves no doubt; nil where it does. Small on purpose: the host
// gets no packages, and a wrong number is worse than none (docs/decisions/0007-e164.md).

internal import Basics

/// The dialling habits of a region.
package struct PhoneRegion: Sendable {
  /// ISO 3166-1, `US`.
  package let code: String
  let countryCode: String
  /// Dialled before a number of another place in the country.
  let nationalPrefix: String
  let internationalPrefixes: [String]
  /// Lengths of a number without its national prefix.
  let lengths: ClosedRange<Int>

  package static let known: [PhoneRegion] = [
    .init("US", "1", "1", ["011"], 10...10), .init("CA", "1", "1", ["011"], 10...10),
    .init("GB", "44", "0", ["00"], 9...10), .init("DE", "49", "0", ["00"], 6...11),
    .init("FR", "33", "0", ["00"], 9...9), .init("CH", "41", "0", ["00"], 9...9),
    .init("AT", "43", "0", ["00"], 6...12), .init("NL", "31", "0", ["00"], 9...9),
    .init("BE", "32", "0", ["00"], 8...9), .init("IE", "353", "0", ["00"], 7...9),
    .init("AU", "61", "0", ["0011"], 9...9), .init("NZ", "64", "0", ["00"], 8...10),
    .init("SE", "46", "0", ["00"], 7...9), .init("IN", "91", "0", ["00"], 10...10),
    .init("ES", "34", "", ["00"], 9...9), .init("PT", "351", "", ["00"], 9...9),
    .init("DK", "45", "", ["00"], 8...8), .init("NO", "47", "", ["00"], 8...8),
    .init("PL", "48", "", ["00"], 9...9), .init("IT", "39", "", ["00"], 6...11),
  ]

  private init(
    _ code: String, _ country: String, _ national: String, _ international: [String], _ lengths: ClosedRange<Int>
  ) {
    (self.code, countryCode, nationalPrefix, internationalPrefixes, self.lengths) = (
      code, country, national, international, lengths
    )
  }

  package init?(code: String) {
    guard let known = Self.known.first(where: { $0.code == code.uppercased() }) else { return nil }
    self = known
  }

  /// `+` and digits, or nil when this is no full telephone number: an extension, a service code, a name.
  package func e164(_ raw: String) -> String? { Self.international(raw, in: self) }

  /// What people put between digits.
  private static let marks = Array("+-.() /".utf8)

  /// Without a region only what already begins with `+` is certain.
  package static func international(_ raw: String, in region: PhoneRegion?) -> String? {
    func isDigit(_ byte: UInt8) -> Bool { 48...57 ~= byte }
    guard raw.utf8.allSatisfy({ isDigit($0) || marks.contains($0) }) else { return nil }
    let digits = String(decoding: raw.utf8.filter(isDigit), as: UTF8.self)
    if raw.trimmed.hasPrefix("+") {
      return (7...15).contains(digits.count) && !digits.hasPrefix("0") ? "+" + digits : nil
    }
    guard let region, !raw.utf8.contains(UInt8(ascii: "+")) else { return nil }
    for prefix in region.internationalPrefixes where digits.hasPrefix(prefix) {
      let rest = digits.dropFirst(prefix.count)
      return (8...15).contains(rest.count) ? "+" + rest : nil
    }
    return region.national(digits)
  }

  private func national(_ digits: String) -> String? {
    var rest = digits[...]
    if !nationalPrefix.isEmpty {
      if rest.hasPrefix(nationalPrefix) {
        rest = rest.dropFirst(nationalPrefix.count)
      } else if nationalPrefix != "1" {
        return nil
      }
    }
    guard lengths.contains(rest.count) else { return nil }
    if countryCode == "1", let first = rest.first, first < "2" { return nil }
    return "+" + countryCode + rest
  }
}
