// A conversation, first ring to last hang-up, and the legs it is made of.

package import Basics

package enum LegRole: String, Sendable, CaseIterable {
  /// Placed the call.
  case caller
  /// Was rung.
  case callee
  /// Was rung as a member of a queue.
  case agent
  /// Was called by somebody who holds the call, to ask before handing it over.
  case consult
  /// Took a parked call back.
  case retriever
  /// A machine that took the call: voicemail, conference, an application.
  case service
}

package enum LegState: String, Sendable, CaseIterable { case dialing, ringing, answered, ended }

package struct Leg: Hashable, Sendable {
  /// The PBX's name for it; for Asterisk its Uniqueid.
  package var id: String
  /// How commands address it at the PBX; for Asterisk the channel's name.
  package var channel: String
  package var role: LegRole
  package var party: Party
  package var number: Number
  package var state: LegState
  package var ringingAt: Timestamp?
  package var answeredAt: Timestamp?
  package var endedAt: Timestamp?
  package var reason: String?
  package var isHolding: Bool

  package init(
    id: String, channel: String, role: LegRole, party: Party, number: Number, state: LegState = .dialing,
    ringingAt: Timestamp? = nil, answeredAt: Timestamp? = nil, endedAt: Timestamp? = nil, reason: String? = nil,
    isHolding: Bool = false
  ) {
    (self.id, self.channel, self.role, self.party, self.number, self.state) = (id, channel, role, party, number, state)
    (self.ringingAt, self.answeredAt, self.endedAt) = (ringingAt, answeredAt, endedAt)
    (self.reason, self.isHolding) = (reason, isHolding)
  }
}

package enum CallState: String, Sendable, CaseIterable { case dialing, ringing, queued, active, held, parked, ended }

package struct Call: Hashable, Sendable {
  package var id: CallID
  package var direction: Direction
  package var state = CallState.dialing
  package var from: Number?
  package var to: Number?
  package var did: String?
  package var queue: String?
  package var legs: [Leg] = []
  package var startedAt: Timestamp
  package var answeredAt: Timestamp?
  package var endedAt: Timestamp?
  package var disposition: Disposition?
  package var reason: String?
  package var answeredBy: Party?
  package var endedBy: Party?
  /// From the first ringing leg to the answer or the end; nil when the ringing was not seen.
  package var ringSeconds: Double?
  /// From the answer to the end; nil while it lasts and where the answer was not seen.
  package var talkSeconds: Double?
  package var mergedInto: CallID?
  /// The PBX's own keys: `linkedid` and the like.
  package var externalIDs: [String: String] = [:]

  package init(id: CallID, direction: Direction, startedAt: Timestamp) {
    (self.id, self.direction, self.startedAt) = (id, direction, startedAt)
  }

  package var isEnded: Bool { endedAt != nil }
}
