// The [relay] section.

package import Config

package struct RelayConfig: Sendable {
  package var anonymousRead = false
  package var requestsPerMinute = 600
  package var pingEverySeconds = 20
  package var idleSeconds = 60
  /// The most that waits for one slow client before it is closed with a reason.
  package var clientQueueBytes = 1 << 20

  package init() {}

  package init(reading reader: inout ConfigReader) {
    anonymousRead = reader.flag("relay", "anonymous_read", default: false)
    pingEverySeconds = reader.number("relay", "ping_secs", default: 20, in: 1...3600)
    idleSeconds = reader.number("relay", "idle_secs", default: 60, in: 2...86_400)
    clientQueueBytes = reader.number("relay", "client_queue_bytes", default: 1 << 20, in: 65_536...(1 << 20))
    requestsPerMinute = reader.number("limits", "relay_per_minute", default: 600, in: 1...100_000_000)
    if idleSeconds <= pingEverySeconds { reader.fault("relay", "idle_secs", "must be larger than ping_secs") }
  }
}
