// A `[sink.NAME]` section: what every kind of destination has. Its kind reads the rest.

package import Basics
package import Config
internal import Crypto

package struct SinkConfig: Sendable {
  package var record: DestinationRecord

  /// - Parameter tenant: whose events it is given.
  package init(reading reader: inout ConfigReader, name: String, kind: DestinationRecord.Kind, tenant: UUID) {
    let section = "sink." + name
    let id = UUID(milliseconds: 0, digest: Digest.sha256Halves(Array(section.utf8)))
    record = DestinationRecord(
      id: id, tenant: tenant, name: name, url: reader.text(section, "url", default: ""), at: .now())
    (record.kind, record.origin) = (kind, .file)
    if record.url.isEmpty { reader.fault(section, "url", "needed") }
    record.filter = EventFilter(
      types: reader.list(section, "types"), dids: reader.list(section, "dids"),
      queues: reader.list(section, "queues"))
    let isWebhook = kind == .webhook
    record.limits.requests = reader.number(section, "concurrency", default: isWebhook ? 8 : 256, in: 1...1024)
    record.limits.inFlight = reader.number(section, "in_flight_limit", default: isWebhook ? 64 : 512, in: 1...4096)
    record.limits.loaded = max(256, 2 * record.limits.inFlight)
    let rate = reader.number(section, "rate_per_sec", default: 0, in: 0...100_000)
    record.ratePerSecond = rate == 0 ? nil : rate
    switch reader.text(section, "from", default: "now") {
    case "now": break
    case "oldest": record.beginsWithOldest = true
    default: reader.fault(section, "from", "expected now or oldest")
    }
    record.hasHeartbeat = reader.flag(section, "heartbeat", default: true)
    record.timeout = .seconds(reader.number(section, "timeout_secs", default: 15, in: 1...60))
  }
}

/// The `[upstream]` section: what holds for every destination.
package struct UpstreamConfig: Sendable {
  /// Networks that are not public and may be delivered to.
  package var allowedNetworks: [String] = []
  package var proxy = ""
  /// Zero: none.
  package var heartbeat: Duration = .seconds(60)
  package var logLimit = 100_000

  package init() {}

  package init(reading reader: inout ConfigReader) {
    allowedNetworks = reader.list("upstream", "allowed_networks")
    proxy = reader.text("upstream", "proxy", default: "")
    heartbeat = .seconds(reader.number("upstream", "heartbeat_secs", default: 60, in: 0...86_400))
    logLimit = reader.number("upstream", "log_attempts", default: logLimit, in: 1000...10_000_000)
  }
}
