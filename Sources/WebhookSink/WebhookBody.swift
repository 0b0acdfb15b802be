// What a webhook's body is: one event or a batch, in the form that the destination asked for.

internal import Basics
internal import CallModel
internal import CloudEvents
internal import Hub
internal import JSON
internal import SinkKit

struct WebhookBody {
  let bytes: [UInt8]
  /// Of this request alone.
  let headers: [(name: String, value: String)]

  init(_ delivery: Delivery, as form: DestinationRecord.BodyForm, isBatch: Bool) {
    if form == .binary, let event = delivery.entries.first.flatMap({ try? CloudEvent(structured: $0.native) }) {
      (headers, bytes) = event.binary
      return
    }
    headers = []
    if !isBatch, let entry = delivery.entries.first {
      bytes = Self.dialect(form).render(entry)
      return
    }
    var json = JSONWriter(capacity: delivery.entries.reduce(0) { $0 + $1.weight + 256 })
    json.array { json in
      for entry in delivery.entries { json.raw(Self.dialect(form).render(entry)) }
    }
    bytes = json.bytes
  }

  private static func dialect(_ form: DestinationRecord.BodyForm) -> Dialect {
    switch form {
    case .cloudevents, .binary: .native
    case .relay: .relay
    case .cti: .cti
    }
  }

  /// CloudEvents HTTP binding 1.0.2 §3.2, §3.3.
  static func contentType(_ form: DestinationRecord.BodyForm, isBatch: Bool) -> String {
    guard form == .cloudevents else { return "application/json" }
    return isBatch ? CloudEvent.batchType : CloudEvent.structuredType
  }
}
