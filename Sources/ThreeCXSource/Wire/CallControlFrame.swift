// A frame of the Call Control WebSocket: `{"sequence":18,"event":{"event_type":0,"entity":"/callcontrol/150/…"}}`. It
// says which entity changed, not how.

internal import Basics
internal import JSON

package struct CallControlFrame: Hashable, Sendable {
  package enum Entity: Hashable, Sendable {
    case participant(Participant.Key)
    /// A DN as a whole.
    case dn(String)
    /// A device, or what is not known.
    case other
  }

  package let sequence: Int64?
  /// The entity is no more; else it is new or changed.
  package let isRemoval: Bool
  package let entity: Entity

  /// Nil for what is no frame. One that says nothing of calls (DTMF, prompts, answers) is counted all the same.
  package init?(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(parsing: bytes), let event = json["event"], let kind = event["event_type"]?.int
    else { return nil }
    (sequence, isRemoval) = (json["sequence"]?.int, kind == 1)
    entity = kind == 0 || kind == 1 ? event["entity"]?.string.map(Self.entity) ?? .other : .other
  }

  package init(sequence: Int64?, isRemoval: Bool, entity: Entity) {
    (self.sequence, self.isRemoval, self.entity) = (sequence, isRemoval, entity)
  }

  private static func entity(_ path: String) -> Entity {
    let parts = path.split(separator: "/")
    guard parts.count >= 2, parts[0] == "callcontrol" else { return .other }
    let dn = String(parts[1])
    if parts.count == 2 { return .dn(dn) }
    guard parts.count == 4, parts[2] == "participants", let id = Int(parts[3]) else { return .other }
    return .participant(Participant.Key(dn: dn, id: id))
  }
}
