// Which sinks there are, and how the configuration file names them: one line a kind.

internal import Basics
internal import CallModel
package import Config
internal import Crypto
internal import HTTPClient
internal import Identity
package import KafkaSink
internal import Loop
package import NATSSink
package import SinkKit
package import WebhookSink

/// What the configuration says of destinations.
package struct SinksConfig: Sendable {
  package var upstream = UpstreamConfig()
  package var webhook = WebhookOptions()
  package var webhooks: [WebhookSinkConfig] = []
  package var nats: [NATSSinkConfig] = []
  package var kafka: [KafkaSinkConfig] = []

  package init() {}

  package init(reading reader: inout ConfigReader) {
    upstream = UpstreamConfig(reading: &reader)
    webhook = WebhookOptions(upstream, reader: &reader)
    webhook.userAgent = "Sidetone/\(Agent.version)"
    let tenant = TenantID.standard.uuid
    for name in reader.instances(of: "sink") {
      switch reader.text("sink." + name, "type", default: "webhook") {
      case "webhook":
        webhooks.append(WebhookSinkConfig(reading: &reader, name: name, tenant: tenant, shared: webhook))
      case "nats": nats.append(NATSSinkConfig(reading: &reader, name: name, tenant: tenant))
      case "kafka": kafka.append(KafkaSinkConfig(reading: &reader, name: name, tenant: tenant))
      default: reader.fault("sink." + name, "type", "expected webhook, nats or kafka")
      }
    }
  }

  package var records: [DestinationRecord] {
    webhooks.map(\.record) + nats.map(\.record) + kafka.map(\.record)
  }
}

/// Makes the way to a destination.
@LoopActor
final class SinkCatalogue {
  private let config: SinksConfig
  private let secret: ServerSecret
  private var client: HTTPClient?

  init(_ config: SinksConfig, secret: ServerSecret) { (self.config, self.secret) = (config, secret) }

  func make(_ record: DestinationRecord) throws -> any Sink {
    switch record.kind {
    case .webhook: try makeWebhook(record)
    case .nats: try NATSSink(try declared(config.nats.first { $0.record.id == record.id }, record))
    case .kafka: try KafkaSink(try declared(config.kafka.first { $0.record.id == record.id }, record))
    }
  }

  private func declared<T>(_ found: T?, _ record: DestinationRecord) throws -> T {
    if let found { return found }
    throw AgentFailure(description: "[sink.\(record.name)] is not in the configuration file")
  }

  private func makeWebhook(_ record: DestinationRecord) throws -> any Sink {
    // Of its own: connections that others opened were not asked whether they may be.
    let client = try self.client ?? HTTPClient()
    self.client = client
    if let declared = config.webhooks.first(where: { $0.record.id == record.id }) {
      return WebhookSink(record, client: client, options: declared.options) { declared.keys }
    }
    // Made once: versions only fall away, and a change makes a new sink.
    let keys = record.signingVersions(at: .now()).map { ($0, key(of: record, version: $0)) }
    return WebhookSink(record, client: client, options: config.webhook) {
      let versions = record.signingVersions(at: .now())
      return keys.filter { versions.contains($0.0) }.map(\.1)
    }
  }

  // MARK: Secrets

  /// Nothing of a secret is stored: it is made from the server's secret, the destination and a version.
  func key(of record: DestinationRecord, version: Int) -> StandardWebhooks.Key {
    secret.derived("webhook/\(record.id)/\(version)")
  }

  func shownSecret(of record: DestinationRecord) -> Secret<String>? {
    guard record.kind == .webhook, record.origin == .api else { return nil }
    return StandardWebhooks.text(key(of: record, version: record.secretVersion))
  }
}
