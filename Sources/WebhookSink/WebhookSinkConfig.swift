// What a webhook in the configuration file has beside the keys of every destination.

package import Basics
package import Config
internal import HTTPClient
package import SinkKit

package struct WebhookSinkConfig: Sendable {
  package var record: DestinationRecord
  package var options: WebhookOptions
  /// The newest first.
  package var keys: [StandardWebhooks.Key] = []

  package init(reading reader: inout ConfigReader, name: String, tenant: UUID, shared: WebhookOptions) {
    let section = "sink." + name
    record = SinkConfig(reading: &reader, name: name, kind: .webhook, tenant: tenant).record
    options = shared
    let form = reader.text(section, "body", default: "cloudevents")
    if let known = DestinationRecord.BodyForm(rawValue: form) {
      record.body = known
    } else {
      reader.fault(section, "body", "expected cloudevents, binary, relay or cti")
    }
    record.limits.batch = reader.number(section, "batch_size", default: 1, in: 1...500)
    if record.body == .binary, record.limits.batch > 1 {
      reader.fault(
        section, "batch_size", "the binary form has one event a request; leave this out, or choose another body")
      record.limits.batch = 1
    }
    record.limits.inFlight = max(record.limits.inFlight, record.limits.batch)
    record.isCompressed = reader.flag(section, "gzip", default: false)
    options.caFile = reader.optionalText(section, "ca_file")
    options.certificateFile = reader.optionalText(section, "certificate_file")
    options.keyFile = reader.optionalText(section, "key_file")
    for (name, file) in [
      ("ca_file", options.caFile), ("certificate_file", options.certificateFile), ("key_file", options.keyFile),
    ] where file.map({ !Files.exists($0) }) ?? false {
      reader.fault(section, name, "there is no such file")
    }
    options.authorization = reader.secret(section, "authorization")
    if let proxy = reader.optionalText(section, "proxy") {
      options.proxy = proxy
      if let fault = ProxyAddress.fault(in: proxy) { reader.fault(section, "proxy", fault) }
    }
    if let fault = WebhookAddress.fault(in: record.url, policy: options.policy) { reader.fault(section, "url", fault) }
    readKeys(&reader, section)
  }

  private mutating func readKeys(_ reader: inout ConfigReader, _ section: String) {
    for name in ["secret", "previous_secret"] {
      guard let secret = reader.secret(section, name) else { continue }
      if let key = StandardWebhooks.key(secret), (24...64).contains(key.reveal().count) {
        keys.append(key)
      } else {
        reader.fault(section, name + "_file", "expected whsec_ and base64 of 24 to 64 bytes")
      }
    }
    if keys.isEmpty { reader.fault(section, "secret_file", "needed: a file with whsec_ and base64 of 24 to 64 bytes") }
  }
}

/// Reads `[upstream]` for webhooks.
extension WebhookOptions {
  package init(_ upstream: UpstreamConfig, reader: inout ConfigReader) {
    self.init()
    proxy = upstream.proxy.isEmpty ? nil : upstream.proxy
    if let fault = proxy.flatMap({ ProxyAddress.fault(in: $0) }) { reader.fault("upstream", "proxy", fault) }
    for text in upstream.allowedNetworks {
      if let network = Network(text) {
        policy.allowed.append(network)
      } else {
        reader.fault(
          "upstream", "allowed_networks", "\(text) is no network; expected 10.0.0.0/8, fd00::/8 or an address")
      }
    }
  }
}
