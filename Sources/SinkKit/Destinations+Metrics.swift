// Each destination in figures, for those who watch many agents at once.

package import Basics
internal import CallModel
internal import Loop
package import Metrics

extension Destinations {
  /// - Parameter tenant: nil for all; those of others are nobody's business.
  package func figures(of tenant: UUID?) -> [MetricFamily] {
    let shown = couriers.values.filter { tenant == nil || $0.record.tenant == tenant }.sorted {
      ($0.record.tenant, $0.record.name) < ($1.record.tenant, $1.record.name)
    }
    return Self.questions.map { question in
      var family = MetricFamily(question.name, question.help, question.kind)
      for courier in shown {
        guard let value = question.answer(courier, tools.feed.head) else { continue }
        family.add([("destination", courier.record.name), ("tenant", courier.record.tenant.description)], value)
      }
      return family
    }
  }

  private struct Question {
    let name: String
    let help: String
    var kind = Metric.Kind.gauge
    let answer: @LoopActor (Courier, _ head: Position) -> Double?
  }

  private static var questions: [Question] {
    [
      Question(name: "sidetone_destination_up", help: "1 while it is active and takes events") { courier, _ in
        courier.state.kind == .active && courier.outbox.breaker.isClosed ? 1 : 0
      },
      Question(name: "sidetone_destination_lag", help: "Events that were not sent to it yet") { courier, head in
        Double(courier.lag(behind: head))
      },
      Question(name: "sidetone_destination_in_flight", help: "Events sent and not kept as settled") { courier, _ in
        Double(courier.outbox.inFlightCount)
      },
      Question(name: "sidetone_destination_held", help: "Events that wait for another attempt") { courier, _ in
        Double(courier.outbox.heldCount)
      },
      Question(name: "sidetone_destination_set_aside", help: "Events refused or given up") { courier, _ in
        Double(courier.outbox.counts.setAside)
      },
      Question(name: "sidetone_destination_accepted_total", help: "Events it acknowledged", kind: .counter) {
        courier, _ in Double(courier.outbox.counts.accepted)
      },
      Question(name: "sidetone_destination_last_accepted_timestamp_seconds", help: "When it last acknowledged one") {
        courier, _ in courier.lastAccepted.map { Double($0.milliseconds) / 1000 }
      },
    ]
  }
}
