// The call as JSON, the one form that the journal keeps, the API shows and the normaliser's memory is rebuilt from.

internal import Basics
package import JSON

extension Party {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.field("kind", kind.rawValue)
      json.field("id", id)
    }
  }

  package init?(_ json: JSONValue?) {
    guard let kind = json?["kind"]?.string.flatMap(Kind.init(rawValue:)), let id = json?["id"]?.string else {
      return nil
    }
    self.init(kind, id)
  }
}

extension Number {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.field("raw", raw)
      json.field("e164", e164)
      json.field("name", name)
    }
  }

  package init?(_ json: JSONValue?) {
    guard let raw = json?["raw"]?.string else { return nil }
    self.init(raw: raw, e164: json?["e164"]?.string, name: json?["name"]?.string)
  }
}

extension JSONWriter {
  package mutating func field(_ name: StaticString, _ party: Party?) {
    key(name)
    if let party { party.write(to: &self) } else { null() }
  }

  package mutating func field(_ name: StaticString, _ number: Number?) {
    key(name)
    if let number { number.write(to: &self) } else { null() }
  }
}

extension Leg {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.field("id", id)
      json.field("channel", channel)
      json.field("role", role.rawValue)
      json.field("party", party)
      json.field("number", number)
      json.field("state", state.rawValue)
      json.field("ringing_at", ringingAt)
      json.field("answered_at", answeredAt)
      json.field("ended_at", endedAt)
      json.field("reason", reason)
      json.field("holding", isHolding)
    }
  }

  package init?(_ json: JSONValue) {
    guard let id = json["id"]?.string, let role = json["role"]?.string.flatMap(LegRole.init(rawValue:)),
      let party = Party(json["party"]), let number = Number(json["number"]),
      let state = json["state"]?.string.flatMap(LegState.init(rawValue:))
    else { return nil }
    self.init(
      id: id, channel: json["channel"]?.string ?? "", role: role, party: party, number: number, state: state,
      ringingAt: json.time("ringing_at"), answeredAt: json.time("answered_at"), endedAt: json.time("ended_at"),
      reason: json["reason"]?.string, isHolding: json["holding"]?.bool ?? false)
  }
}

extension Call {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.field("id", id.uuid)
      json.field("direction", direction.rawValue)
      json.field("state", state.rawValue)
      json.field("from", from)
      json.field("to", to)
      json.field("did", did)
      json.field("queue", queue)
      json.key("legs")
      json.array { json in for leg in legs { leg.write(to: &json) } }
      json.field("started_at", startedAt)
      json.field("answered_at", answeredAt)
      json.field("ended_at", endedAt)
      json.field("disposition", disposition?.rawValue)
      json.field("reason", reason)
      json.field("answered_by", answeredBy)
      json.field("ended_by", endedBy)
      json.field("ring_seconds", ringSeconds)
      json.field("talk_seconds", talkSeconds)
      json.field("merged_into", mergedInto?.uuid)
      json.key("external_ids")
      json.object { json in
        for (name, value) in externalIDs.sorted(by: { $0.key < $1.key }) {
          json.key(name)
          json.value(value)
        }
      }
    }
  }

  package var json: [UInt8] {
    var json = JSONWriter(capacity: 1024)
    write(to: &json)
    return json.bytes
  }

  package init?(_ json: JSONValue) {
    guard let id = json["id"]?.string.flatMap({ UUID($0) }), let startedAt = json.time("started_at"),
      let direction = json["direction"]?.string.flatMap(Direction.init(rawValue:))
    else { return nil }
    self.init(id: CallID(id), direction: direction, startedAt: startedAt)
    state = json["state"]?.string.flatMap(CallState.init(rawValue:)) ?? .dialing
    (from, to) = (Number(json["from"]), Number(json["to"]))
    (did, queue) = (json["did"]?.string, json["queue"]?.string)
    legs = json["legs"]?.array?.compactMap(Leg.init) ?? []
    (answeredAt, endedAt) = (json.time("answered_at"), json.time("ended_at"))
    disposition = json["disposition"]?.string.flatMap(Disposition.init(rawValue:))
    reason = json["reason"]?.string
    (answeredBy, endedBy) = (Party(json["answered_by"]), Party(json["ended_by"]))
    (ringSeconds, talkSeconds) = (json["ring_seconds"]?.double, json["talk_seconds"]?.double)
    mergedInto = json["merged_into"]?.string.flatMap { UUID($0) }.map(CallID.init)
    let pairs = json["external_ids"]?.members?.compactMap { pair in pair.1.string.map { (pair.0, $0) } } ?? []
    externalIDs = Dictionary(pairs) { first, _ in first }
  }
}

extension JSONValue {
  fileprivate func time(_ name: String) -> Timestamp? { self[name]?.string.flatMap { Timestamp(rfc3339: $0) } }
}
