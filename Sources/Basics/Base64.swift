// Base64 in both alphabets (RFC 4648 §4, §5), strict: no whitespace, no stray bits.

package enum Base64 {
  private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let forAddresses = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// Without padding, with `-` and `_`: as tokens and addresses have it.
  package static func encodeURL(_ bytes: [UInt8]) -> String { encode(bytes, forAddresses, isPadded: false) }

  package static func encode(_ bytes: [UInt8]) -> String { encode(bytes, standard, isPadded: true) }

  /// Nil for padding, for characters of the other alphabet, and where the last character holds bits of no byte.
  package static func decodeURL(_ text: some StringProtocol) -> [UInt8]? { decode(Array(text.utf8), forAddresses) }

  /// Padded, or without its padding.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var bytes = Array(text.utf8)
    if bytes.last == 61 {
      guard bytes.count % 4 == 0 else { return nil }
      bytes.removeLast(bytes[bytes.count - 2] == 61 ? 2 : 1)
    }
    return decode(bytes, standard)
  }

  private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8], isPadded: Bool) -> String {
    String(unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4) { text in
      var (end, start) = (0, 0)
      while start < bytes.count {
        let count = min(3, bytes.count - start)
        var bits = 0
        for index in 0..<3 { bits = bits << 8 | (index < count ? Int(bytes[start + index]) : 0) }
        for index in 0...count { text[end + index] = alphabet[bits >> (18 - 6 * index) & 63] }
        end += count + 1
        for _ in count..<3 where isPadded {
          text[end] = 61
          end += 1
        }
        start += 3
      }
      return end
    }
  }

  private static func decode(_ text: [UInt8], _ alphabet: [UInt8]) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var (out, bits, count): ([UInt8], Int, Int) = ([], 0, 0)
    for byte in text {
      guard let value = alphabet.firstIndex(of: byte) else { return nil }
      (bits, count) = (bits << 6 | value, count + 6)
      guard count >= 8 else { continue }
      count -= 8
      out.append(UInt8(bits >> count & 255))
      bits &= 1 << count - 1
    }
    return bits == 0 ? out : nil
  }
}
