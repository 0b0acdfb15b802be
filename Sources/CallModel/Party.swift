// Who or what takes part in a call.

package struct Party: Hashable, Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case `extension`, external, voicemail, ivr, conference, application, system
  }

  package var kind: Kind
  /// The number, mailbox, room or application.
  package var id: String

  package init(_ kind: Kind, _ id: String) { (self.kind, self.id) = (kind, id) }

  package static let system = Party(.system, "system")

  /// Only these count as talk to a person.
  package var isPerson: Bool { kind == .extension || kind == .external }
}

/// A number as it was seen, and as the world would dial it where that is certain.
package struct Number: Hashable, Sendable {
  package var raw: String
  package var e164: String?
  package var name: String?

  package init(raw: String, e164: String? = nil, name: String? = nil) {
    (self.raw, self.e164, self.name) = (raw, e164, name)
  }
}

package enum Direction: String, Sendable, CaseIterable { case inbound, outbound, `internal` }

package enum Disposition: String, Sendable, CaseIterable {
  case answered, busy, cancelled, declined, failed, abandoned, voicemail, blocked
  case noAnswer = "no_answer"
}
