// The part of a destination that is kept as one JSON object.

internal import Basics
internal import CallModel
package import JSON
internal import Store

extension DestinationRecord {
  init?(_ row: [SQLValue]) {
    guard let tenant = row[0].uuid, let id = row[1].uuid, let name = row[2].text,
      let kind = row[3].text.flatMap(Kind.init(rawValue:)), let origin = row[4].text.flatMap(Origin.init(rawValue:)),
      let url = row[5].text, let settings = row[6].text, let version = row[7].int, let createdAt = row[9].time,
      let updatedAt = row[10].time
    else { return nil }
    self.init(id: id, tenant: tenant, name: name, url: url, at: createdAt)
    (self.kind, self.origin, self.updatedAt) = (kind, origin, updatedAt)
    (secretVersion, previousUntil) = (Int(version), row[8].time)
    read(settings)
  }

  var settings: String {
    var json = JSONWriter()
    json.object { json in
      writeSettings(to: &json)
      json.key("older_secrets")
      json.array { json in
        for secret in olderSecrets {
          json.object { json in
            json.field("version", secret.version)
            json.field("until", secret.until.microseconds)
          }
        }
      }
    }
    return json.text
  }

  package func writeSettings(to json: inout JSONWriter) {
    json.field("body", body.rawValue)
    json.list("types", filter.types)
    json.list("dids", filter.dids)
    json.list("queues", filter.queues)
    json.field("concurrency", limits.requests)
    json.field("in_flight_limit", limits.inFlight)
    json.field("batch_size", limits.batch)
    json.field("rate_per_sec", ratePerSecond)
    json.field("gzip", isCompressed)
    json.field("heartbeat", hasHeartbeat)
    json.field("timeout_secs", Int(timeout.seconds))
  }

  private mutating func read(_ settings: String) {
    guard let json = try? JSONValue(parsing: Array(settings.utf8)) else { return }
    body = json["body"]?.string.flatMap(BodyForm.init(rawValue:)) ?? body
    filter = EventFilter(types: json.texts("types"), dids: json.texts("dids"), queues: json.texts("queues"))
    limits.requests = json["concurrency"]?.int.map { Int($0) } ?? limits.requests
    limits.inFlight = json["in_flight_limit"]?.int.map { Int($0) } ?? limits.inFlight
    limits.batch = json["batch_size"]?.int.map { Int($0) } ?? limits.batch
    ratePerSecond = json["rate_per_sec"]?.int.map { Int($0) }
    isCompressed = json["gzip"]?.bool ?? isCompressed
    hasHeartbeat = json["heartbeat"]?.bool ?? hasHeartbeat
    timeout = json["timeout_secs"]?.int.map { .seconds($0) } ?? timeout
    olderSecrets = (json["older_secrets"]?.array ?? []).compactMap { secret in
      guard let version = secret["version"]?.int, let until = secret["until"]?.int else { return nil }
      return OlderSecret(version: Int(version), until: Timestamp(microseconds: until))
    }
  }
}

extension JSONWriter {
  fileprivate mutating func list(_ name: StaticString, _ texts: [String]) {
    key(name)
    array { json in for text in texts { json.value(text) } }
  }
}

extension JSONValue {
  fileprivate func texts(_ name: String) -> [String] { self[name]?.array?.compactMap(\.string) ?? [] }
}
