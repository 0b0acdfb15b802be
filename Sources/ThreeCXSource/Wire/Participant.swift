// A participant of the Call Control API: one DN's part in one call (facts of the official client's types and of a
// capture; every text may be null, every list may be missing, and the kinds are an open set).

internal import Basics
package import JSON

/// What a DN or the other side of a participant is. Unknown kinds stay unknown.
package enum PartyKind: Hashable, Sendable {
  case person, line, queue, ivr, routePoint, voicemail, ringGroup, parking, conference, specialMenu, unknown

  /// - Parameter text: `Wextension`, `Wexternalline`, …; the `W` and the case are not relied on.
  package init(_ text: String?) {
    let lower = (text ?? "").asciiLowercased
    self =
      switch lower.hasPrefix("w") ? String(lower.dropFirst()) : lower {
      case "extension": .person
      case "externalline", "provider", "bridge": .line
      case "queue": .queue
      case "ivr": .ivr
      case "routepoint": .routePoint
      case "voicemail", "vmail": .voicemail
      case "ringgroup", "huntgroup": .ringGroup
      case "parking": .parking
      case "conference": .conference
      case "specialmenu": .specialMenu
      default: .unknown
      }
  }
}

extension PartyKind {
  /// A machine of a 3CX in the words of the normaliser, which are Asterisk's.
  var application: String {
    switch self {
    case .voicemail: "VoiceMail"
    case .conference: "ConfBridge"
    case .ivr: "Background"
    case .person, .line, .queue, .routePoint, .ringGroup, .parking, .specialMenu, .unknown: "VoiceMailMain"
    }
  }
}

package struct Participant: Hashable, Sendable {
  /// Unique while the PBX runs; small numbers that begin again when it restarts.
  package struct Key: Hashable, Comparable, Sendable {
    package let dn: String
    package let id: Int
    package init(dn: String, id: Int) { (self.dn, self.id) = (dn, id) }
    package static func < (left: Key, right: Key) -> Bool { (left.id, left.dn) < (right.id, right.dn) }
  }

  /// There is no more: hold, mute and conference are not told.
  package enum Status: Sendable { case dialing, ringing, connected }

  package var key: Key
  package var status: Status
  package var callID: Int
  package var partyDN: String
  package var partyKind: PartyKind
  package var partyNumber: String
  package var partyName: String
  /// Empty on most inbound calls.
  package var did: String
  package var onBehalfOf: String
  package var onBehalfOfKind: PartyKind
  package var referredBy: String
  package var referredByKind: PartyKind
  package var originatedBy: String
  package var originatedByKind: PartyKind
  package var deviceID: String
  package var isDirectlyControlled: Bool

  /// Nil where there is no id.
  /// - Parameter dn: whose list it was in, where it does not say so itself.
  package init?(_ json: JSONValue, dn: String) {
    func text(_ name: String) -> String { json[name]?.string ?? "" }
    func number(_ name: String) -> Int? {
      json[name]?.int.flatMap { Int(exactly: $0) } ?? json[name]?.string.flatMap { Int($0) }
    }
    guard let id = number("id") else { return nil }
    // One that names no call is a call by itself.
    let (status, callID) = (
      Self.status(text("status")), number("callid") ?? -1 - abs(id % 1_000_000_000)
    )
    let own = text("dn")
    key = Key(dn: own.isEmpty ? dn : own, id: id)
    (self.status, self.callID) = (status, callID)
    (partyDN, partyKind) = (text("party_dn"), PartyKind(json["party_dn_type"]?.string))
    (partyNumber, partyName, did) = (text("party_caller_id"), text("party_caller_name"), text("party_did"))
    (onBehalfOf, onBehalfOfKind) = (text("on_behalf_of_dn"), PartyKind(json["on_behalf_of_type"]?.string))
    (referredBy, referredByKind) = (text("referred_by_dn"), PartyKind(json["referred_by_type"]?.string))
    (originatedBy, originatedByKind) = (text("originated_by_dn"), PartyKind(json["originated_by_type"]?.string))
    deviceID = text("device_id")
    isDirectlyControlled = json["direct_control"]?.bool ?? false
  }

  /// The API tells of three; 3CX's object model knows more, and a participant is one whatever its first word is.
  private static func status(_ text: String) -> Status {
    switch text.asciiLowercased {
    case "ringing": .ringing
    case "connected", "talking", "hold", "held", "transferring", "waitingfornewparty", "tryingtotransfer": .connected
    default: .dialing
    }
  }
}

/// One DN of the snapshot, with what it is and who speaks on it.
package struct DNState: Sendable {
  package let dn: String
  package let kind: PartyKind
  package let devices: [String]
  package let participants: [Participant]

  package init?(_ json: JSONValue) {
    guard let dn = json["dn"]?.string, !dn.isEmpty else { return nil }
    self.dn = dn
    kind = PartyKind(json["type"]?.string)
    devices = (json["devices"]?.array ?? []).compactMap { $0["device_id"]?.string }
    participants = (json["participants"]?.array ?? []).compactMap { Participant($0, dn: dn) }
  }

  /// The answer to `GET /callcontrol`; nil when it is no list.
  package static func list(_ bytes: [UInt8]) -> [DNState]? {
    (try? JSONValue(parsing: bytes))?.array.map { $0.compactMap { DNState($0) } }
  }
}
