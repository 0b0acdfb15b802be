// Renderings of an entry, chosen by endpoint. Each is made once and shared by all who are sent it.

internal import Basics
package import CallModel
internal import JSON
package import Loop

package enum Dialect: Int, CaseIterable, Sendable {
  /// `{"type":"call_event","position":N,"data":{"event":"call.ring", …the call…}}`
  case relay
  /// CloudEvents 1.0.
  case native
  /// The flat frames of the CTI document: `{"event":"call.ring","position":N,"timestamp":…,"call_id":…,…}`.
  case cti

  package func render(_ entry: JournalEntry) -> [UInt8] {
    switch self {
    case .native: entry.native
    case .relay: Self.relayFrame(entry)
    case .cti: Self.ctiFrame(entry)
    }
  }

  private static func relayFrame(_ entry: JournalEntry) -> [UInt8] {
    var json = JSONWriter(capacity: 256 + entry.weight)
    json.object { json in
      json.field("type", "call_event")
      json.field("position", entry.position.value)
      json.key("data")
      json.object { json in
        json.field("event", entry.type)
        json.field("event_id", entry.id.uuid)
        json.field("timestamp", entry.occurredAt)
        if let call = entry.call { json.members(of: call) }
        json.key("detail")
        json.raw(entry.detail)
      }
    }
    return json.bytes
  }
}

extension Dialect {
  private static func ctiFrame(_ entry: JournalEntry) -> [UInt8] {
    let call = entry.call.flatMap { try? JSONValue(parsing: $0) }
    var json = JSONWriter(capacity: 512)
    json.object { json in
      json.field("event", entry.type)
      json.field("position", entry.position.value)
      json.field("timestamp", entry.occurredAt)
      json.field("event_id", entry.id.uuid)
      if let call {
        json.field("call_id", call["id"]?.string)
        json.field("from_number", number(call["from"]))
        json.field("to_number", number(call["to"]))
        json.field("direction", call["direction"]?.string)
        json.field("status", status(call))
        json.field("disposition", call["disposition"]?.string)
        json.field("queue", call["queue"]?.string)
        json.field("duration_seconds", call["talk_seconds"]?.double.map { Int($0) })
      }
      json.members(of: entry.detail)
    }
    return json.bytes
  }

  private static func number(_ party: JSONValue?) -> String? { party?["e164"]?.string ?? party?["raw"]?.string }

  private static func status(_ call: JSONValue) -> String {
    if call["ended_at"]?.string != nil { return "completed" }
    return call["answered_at"]?.string == nil ? "ringing" : "active"
  }
}

/// An entry with its renderings, made when first asked for.
@LoopActor
package final class RenderedEntry {
  package let entry: JournalEntry
  private var frames: [Chunk?] = [nil, nil, nil]

  /// A rendering as it stands on the wire.
  package enum FrameKind: Int, Sendable {
    case relaySocket, nativeSocket, nativeStream
  }

  package init(_ entry: JournalEntry) { self.entry = entry }

  package func frame(_ kind: FrameKind, _ make: @LoopActor (JournalEntry) -> [UInt8]) -> Chunk {
    if let known = frames[kind.rawValue] { return known }
    let made = Chunk(make(entry))
    frames[kind.rawValue] = made
    return made
  }
}
