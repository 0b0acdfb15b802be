// The signature of Standard Webhooks v1 (standard-webhooks specification, "Webhook signature"): HMAC-SHA256 over
// `id.timestamp.body`, keyed with the decoded secret.

package import Basics
internal import Crypto

package enum StandardWebhooks {
  package typealias Key = Secret<[UInt8]>

  /// The key behind `whsec_…`; prefix and padding may be missing. Nil when it is not base64.
  package static func key(_ secret: Secret<String>) -> Key? {
    let text = secret.reveal()
    let encoded = text.hasPrefix("whsec_") ? String(text.dropFirst(6)) : text
    guard let bytes = Base64.decode(encoded), !bytes.isEmpty else { return nil }
    return Secret(bytes)
  }

  package static func text(_ key: Key) -> Secret<String> { Secret("whsec_" + Base64.encode(key.reveal())) }

  /// The value of `webhook-signature`: one signature a key, in the order given.
  /// - Parameter timestamp: of this attempt, in Unix seconds.
  package static func sign(id: String, timestamp: Int64, body: [UInt8], keys: [Key]) -> String {
    let signed = content(id, String(timestamp), body)
    var text = ""
    text.reserveCapacity(keys.count * 48)
    for key in keys {
      if !text.isEmpty { text += " " }
      text += "v1,"
      text += Base64.encode(Digest.hmacSHA256(signed, key: key))
    }
    return text
  }

  private static func content(_ id: String, _ timestamp: String, _ body: [UInt8]) -> [UInt8] {
    var signed: [UInt8] = []
    signed.reserveCapacity(id.utf8.count + timestamp.utf8.count + 2 + body.count)
    for part in [id, timestamp] {
      signed += part.utf8
      signed.append(UInt8(ascii: "."))
    }
    signed += body
    return signed
  }

  package enum Fault: Error { case missingHeader, badTimestamp, tooOld, tooNew, noMatch }

  /// How far the sender's clock may be from ours, in seconds, either way.
  package static let tolerance: Int64 = 300

  /// - Parameters:
  ///   - header: a header's value by its name in lower case.
  ///   - now: Unix seconds.
  package static func verify(
    body: [UInt8], keys: [Key], now: Int64, header: (String) -> String?
  ) throws(Fault) {
    guard let id = header("webhook-id"), let time = header("webhook-timestamp"),
      let signatures = header("webhook-signature"), !id.isEmpty
    else { throw .missingHeader }
    guard let timestamp = Int64(time), timestamp >= 0, String(timestamp) == time else { throw .badTimestamp }
    if timestamp < now - tolerance { throw .tooOld }
    if timestamp > now + tolerance { throw .tooNew }
    let signed = content(id, time, body)
    let given = signatures.split(separator: " ").filter { $0.hasPrefix("v1,") }.compactMap {
      Base64.decode($0.dropFirst(3))
    }
    for key in keys {
      let expected = Digest.hmacSHA256(signed, key: key)
      if given.contains(where: { isEqualInConstantTime($0, expected) }) { return }
    }
    throw .noMatch
  }
}
