// What a NATS server in the configuration file has beside the keys of every destination.

package import Basics
package import Config
package import SinkKit

package struct NATSSinkConfig: Sendable {
  package var record: DestinationRecord
  /// Events go to `subject.TENANT.TYPE`.
  package var subject = "sidetone"
  /// Made where it is not there; one that is there must take the subjects.
  package var stream = "SIDETONE"
  package var username: String?
  package var password: Secret<String>?
  package var token: Secret<String>?
  package var credentialsFile: String?
  package var caFile: String?
  package var certificateFile: String?
  package var keyFile: String?

  package init(reading reader: inout ConfigReader, name: String, tenant: UUID) {
    let section = "sink." + name
    record = SinkConfig(reading: &reader, name: name, kind: .nats, tenant: tenant).record
    subject = reader.text(section, "subject", default: subject)
    stream = reader.text(section, "stream", default: stream)
    let isPlain: (UInt8) -> Bool = { $0 > 32 && $0 < 127 && ![42, 46, 47, 62, 92].contains($0) }
    if !subject.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({
      !$0.isEmpty && $0.utf8.allSatisfy(isPlain)
    }) {
      reader.fault(section, "subject", "expected names with dots between them, without * and >")
    }
    if stream.isEmpty || !stream.utf8.allSatisfy(isPlain) {
      reader.fault(section, "stream", "expected a name without dots, blanks, * and >")
    }
    username = reader.optionalText(section, "username")
    password = reader.secret(section, "password")
    token = reader.secret(section, "token")
    credentialsFile = reader.optionalText(section, "credentials_file")
    caFile = reader.optionalText(section, "ca_file")
    certificateFile = reader.optionalText(section, "certificate_file")
    keyFile = reader.optionalText(section, "key_file")
    let urls = record.url.split(separator: ",").map { String($0).trimmed }
    if !record.url.isEmpty, !urls.allSatisfy({ $0.hasPrefix("nats://") || $0.hasPrefix("tls://") }) {
      reader.fault(section, "url", "expected nats://HOST:PORT or tls://HOST:PORT, several with commas")
    }
    if urls.contains(where: { $0.contains("@") }) {
      reader.fault(section, "url", "leave out user and password; they have keys of their own")
    }
  }
}
