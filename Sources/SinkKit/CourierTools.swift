// What couriers share, and how long each part of an event's way takes.

package import Basics
internal import CallModel
package import Health
internal import Log
package import Loop
package import Metrics

/// What couriers share.
@LoopActor
package struct CourierTools {
  package let feed: any EventFeed
  package let book: SettlementBook
  package let health: HealthBoard
  package let timings: DeliveryTimings
  /// Makes the way to the peer. Throws what is wrong with the configuration.
  package let makeSink: @LoopActor (DestinationRecord) throws -> any Sink
  package var now: @LoopActor () -> Moment = { Moment.now() }
  package var wall: @LoopActor () -> Timestamp = { Timestamp.now() }
  package var random: @LoopActor () -> Double = { Jitter.next() }
  /// How long a destination may be quiet before it gets a sign of life; zero for ever.
  package var heartbeat = Duration.zero
  /// Other agents may make, change and remove destinations in the same state.
  package var isShared = false
  /// False for an agent that serves one command.
  package var isSending = true
  /// Attempts that a destination's log keeps.
  package var logLimit: Int64 = 100_000

  package init(
    feed: any EventFeed, book: SettlementBook, health: HealthBoard, timings: DeliveryTimings,
    makeSink: @escaping @LoopActor (DestinationRecord) throws -> any Sink
  ) {
    (self.feed, self.book, self.health, self.timings, self.makeSink) = (feed, book, health, timings, makeSink)
  }
}

/// How long each part of an event's way takes.
package struct DeliveryTimings: Sendable {
  let storedToSent: Histogram
  let sentToAcknowledged: Histogram
  let accepted: Metric
  let failed: Metric

  package init(_ metrics: MetricRegistry) {
    storedToSent = metrics.histogram("sidetone_send_seconds", "From an event on disk to its first way to a destination")
    sentToAcknowledged = metrics.histogram(
      "sidetone_acknowledge_seconds", "From sending a delivery to the destination's answer")
    accepted = metrics.counter("sidetone_deliveries_total", "Events that a destination acknowledged")
    failed = metrics.counter("sidetone_delivery_failures_total", "Attempts that a destination did not acknowledge")
  }
}
