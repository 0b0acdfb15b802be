// What Kafka brokers in the configuration file have beside the keys of every destination.

package import Basics
package import Config
package import SinkKit

package struct KafkaSinkConfig: Sendable {
  package var record: DestinationRecord
  package var topic = "sidetone"
  /// librdkafka's own names and values.
  package var settings: [(name: String, value: String)] = []
  package var password: Secret<String>?

  private static let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

  package init(reading reader: inout ConfigReader, name: String, tenant: UUID) {
    let section = "sink." + name
    record = SinkConfig(reading: &reader, name: name, kind: .kafka, tenant: tenant).record
    topic = reader.text(section, "topic", default: topic)
    if topic.isEmpty || topic.utf8.count > 249 || !topic.utf8.allSatisfy(Self.isTopic) {
      reader.fault(section, "topic", "expected letters, digits, dots, dashes and underscores")
    }
    let security = choice(&reader, "security", ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"])
    settings = [
      ("bootstrap.servers", record.url), ("client.id", "sidetone"), ("enable.idempotence", "true"),
      ("acks", "all"), ("linger.ms", "2"), ("security.protocol", security),
      ("compression.type", choice(&reader, "compression", ["none", "gzip", "snappy", "lz4", "zstd"])),
      ("message.timeout.ms", String(Int(record.timeout.seconds * 1000))),
      ("topic.metadata.refresh.interval.ms", "60000"), ("reconnect.backoff.max.ms", "5000"),
      ("queue.buffering.max.kbytes", "16384"),
    ]
    if security.hasSuffix("ssl"), let file = reader.optionalText(section, "ca_file") {
      settings.append(("ssl.ca.location", file))
    }
    if let file = reader.optionalText(section, "certificate_file") {
      settings.append(("ssl.certificate.location", file))
    }
    if let file = reader.optionalText(section, "key_file") { settings.append(("ssl.key.location", file)) }
    readLogin(&reader, isOn: security.hasPrefix("sasl"))
  }

  private mutating func readLogin(_ reader: inout ConfigReader, isOn: Bool) {
    let section = "sink." + record.name
    let mechanism = choice(&reader, "mechanism", Self.mechanisms)
    let username = reader.text(section, "username", default: "")
    password = reader.secret(section, "password")
    guard isOn else { return }
    settings += [("sasl.mechanism", mechanism), ("sasl.username", username)]
    if username.isEmpty { reader.fault(section, "username", "needed with security = sasl_…") }
  }

  private func choice(_ reader: inout ConfigReader, _ key: String, _ known: [String]) -> String {
    let text = reader.text("sink." + record.name, key, default: known[0])
    if !known.contains(text) {
      reader.fault("sink." + record.name, key, "expected one of \(known.joined(separator: ", "))")
    }
    return text
  }

  private static func isTopic(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95].contains(byte)
  }
}
