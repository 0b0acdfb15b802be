// A destination as the API takes and gives it.

internal import Basics
internal import CallModel
internal import HTTP
internal import JSON
internal import Loop
internal import SinkKit

/// Reads the members of a body into a record; whatever is not named stays as it is. Every fault is named at once.
struct DestinationBody {
  private let json: JSONValue
  private var faults: [(name: String, reason: String)] = []

  static let members = [
    "name", "url", "body", "types", "dids", "queues", "concurrency", "in_flight_limit", "batch_size", "rate_per_sec",
    "gzip", "heartbeat", "timeout_secs", "from", "type",
  ]

  /// Of no use to one that has begun.
  private static let onlyNew: Set<String> = ["from", "type"]
  private let isNew: Bool

  init(_ json: JSONValue, isNew: Bool) { (self.json, self.isNew) = (json, isNew) }

  mutating func read(into record: inout DestinationRecord, addressFault: (String) -> String?) throws(APIError) {
    guard case .object(let members) = json else { throw APIError(400, "bad-request", "expected a JSON object") }
    for (name, _) in members where !Self.members.contains(name) || !isNew && Self.onlyNew.contains(name) {
      fault(name, "no such field")
    }
    if let name = text("name") { record.name = name.trimmed }
    if !(1...100).contains(record.name.utf8.count) || record.name.utf8.contains(where: { $0 < 32 }) {
      fault("name", "expected 1 to 100 bytes of text")
    }
    if UUID(record.name) != nil { fault("name", "a UUID would be taken for a destination's id") }
    if let url = text("url") { record.url = url }
    if let reason = addressFault(record.url) { fault("url", reason) }
    if let type = text("type"), type != "webhook" {
      fault("type", "expected webhook; brokers stand in the configuration file")
    }
    if let body = choice("body", DestinationRecord.BodyForm.self) { record.body = body }
    record.filter.types = list("types", record.filter.types)
    record.filter.dids = list("dids", record.filter.dids)
    record.filter.queues = list("queues", record.filter.queues)
    readNumbers(into: &record)
    if let flag = flag("gzip") { record.isCompressed = flag }
    if let flag = flag("heartbeat") { record.hasHeartbeat = flag }
    try finish()
  }

  private mutating func readNumbers(into record: inout DestinationRecord) {
    record.limits.requests = number("concurrency", 1...64) ?? record.limits.requests
    record.limits.inFlight = number("in_flight_limit", 1...1000) ?? record.limits.inFlight
    record.limits.batch = number("batch_size", 1...500) ?? record.limits.batch
    if record.body == .binary, record.limits.batch > 1 {
      fault("batch_size", "the binary form has one event a request")
    }
    record.limits.inFlight = max(record.limits.inFlight, record.limits.batch)
    record.limits.loaded = max(256, 2 * record.limits.inFlight)
    if let seconds = number("timeout_secs", 1...60) { record.timeout = .seconds(seconds) }
    if let rate = json["rate_per_sec"] {
      record.ratePerSecond = rate == .null ? nil : number("rate_per_sec", 1...100_000)
    }
  }

  private mutating func finish() throws(APIError) {
    guard let first = faults.first else { return }
    var error = APIError.badField(first.name, first.reason)
    error.fields = faults
    throw error
  }

  private mutating func fault(_ name: String, _ reason: String) { faults.append((name, reason)) }

  private mutating func text(_ name: String) -> String? {
    guard let value = json[name], value != .null else { return nil }
    guard let text = value.string, text.utf8.count <= 2048 else {
      fault(name, "expected text")
      return nil
    }
    return text
  }

  private mutating func choice<T: RawRepresentable & CaseIterable>(_ name: String, _: T.Type) -> T?
  where T.RawValue == String {
    guard let text = text(name) else { return nil }
    if let known = T(rawValue: text) { return known }
    fault(name, "expected one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
    return nil
  }

  private mutating func list(_ name: String, _ before: [String]) -> [String] {
    guard let value = json[name] else { return before }
    if value == .null { return [] }
    let texts = value.array?.compactMap(\.string) ?? []
    guard let array = value.array, texts.count == array.count, texts.count <= 100,
      texts.allSatisfy({ (1...100).contains($0.utf8.count) })
    else {
      fault(name, "expected a list of up to 100 texts")
      return before
    }
    return texts
  }

  private mutating func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
    guard let value = json[name], value != .null else { return nil }
    guard let number = value.int, range.contains(Int(number)) else {
      fault(name, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return Int(number)
  }

  private mutating func flag(_ name: String) -> Bool? {
    guard let value = json[name], value != .null else { return nil }
    if value.bool == nil { fault(name, "expected true or false") }
    return value.bool
  }
}

enum DestinationWire {
  /// - Parameter secret: shown when it is new.
  @LoopActor
  static func write(_ courier: Courier, head: Position, secret: Secret<String>?, to json: inout JSONWriter) {
    let (record, outbox, state) = (courier.record, courier.outbox, courier.state)
    json.object { json in
      json.field("id", record.id)
      json.field("name", record.name)
      json.field("type", record.kind.rawValue)
      json.field("origin", record.origin.rawValue)
      json.field("url", shown(record.url))
      record.writeSettings(to: &json)
      json.field("state", state.kind.rawValue)
      json.field("state_since", state.since)
      json.field("state_reason", state.reason)
      json.field("health", health(courier))
      json.field("waits_seconds", courier.quietFor > .zero ? Int64(courier.quietFor.seconds.rounded(.up)) : nil)
      json.field("position", outbox.counts.checkpoint.value)
      json.field("lag", courier.lag(behind: head))
      json.field("in_flight", outbox.inFlightCount)
      json.field("held", outbox.heldCount)
      json.field("set_aside", outbox.counts.setAside)
      json.field("accepted", outbox.counts.accepted)
      json.field("last_accepted_at", courier.lastAccepted)
      json.field("last_failure_at", courier.lastFailure?.at)
      json.field("last_failure", courier.lastFailure?.reason)
      json.field("replay_until", courier.replay?.until.value)
      json.field("secret_version", record.secretVersion)
      json.field("previous_secret_until", record.previousUntil)
      json.field("created_at", record.createdAt)
      json.field("updated_at", record.updatedAt)
      if let secret { json.field("secret", secret.reveal()) }
      write(courier.tally, to: &json)
    }
  }

  /// What a URL may carry of a secret is in its query.
  private static func shown(_ url: String) -> String {
    guard let mark = url.firstIndex(of: "?") else { return url }
    return url[..<mark] + "?…"
  }

  @LoopActor
  private static func health(_ courier: Courier) -> String {
    if courier.state.kind != .active { return courier.state.kind.rawValue }
    if !courier.outbox.breaker.isClosed { return "failing" }
    return courier.quietFor > .zero ? "waiting" : "ok"
  }

  private static func write(_ tally: Tally, to json: inout JSONWriter) {
    json.key("minutes")
    json.array { json in
      for minute in tally.minutes {
        json.object { json in
          json.field("at", Timestamp(microseconds: minute.number * 60_000_000))
          json.field("accepted", minute.accepted)
          json.field("failed", minute.failed)
        }
      }
    }
  }

  static func write(_ row: OpenDelivery, to json: inout JSONWriter) {
    json.object { json in
      json.field("position", row.position.value)
      json.field("event_id", row.event.uuid)
      json.field("type", row.type)
      json.field("state", row.state.rawValue)
      json.field("attempts", row.attempts)
      json.field("next_at", row.state == .held ? row.nextAt : nil)
      json.field("reason", row.reason)
      json.field("since", row.since)
    }
  }
}
