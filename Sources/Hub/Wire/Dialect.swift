// Renderings of an entry, chosen by endpoint. Each is made once and shared by all who are sent it.

package import CallModel
internal import JSON
package import Loop

package enum Dialect: Int, CaseIterable, Sendable {
  /// `{"type":"call_event","position":N,"data":{"event":"call.ring", …the call…}}`
  case relay
  /// CloudEvents 1.0.
  case native

  package func render(_ entry: JournalEntry) -> [UInt8] {
    switch self {
    case .native: entry.native
    case .relay: Self.relayFrame(entry)
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
