// A row of the PBX's call records: one leg of a call, in the words of `cdroutput`. Older tables are read into the same.

package import Basics

package struct CDRLeg: Hashable, Sendable {
  package struct Side: Hashable, Sendable {
    /// `extension`, `external_line`, `queue`, `voicemail`, …: an open set, kept as it stands.
    package var entity = ""
    package var dn = ""
    package var dnKind = ""
    package var name = ""
    package var number = ""
    package var did = ""

    package init() {}

    var isOutside: Bool { entity == "external_line" || dnKind == "provider" || dnKind == "external_line" }
    var isQueue: Bool { dnKind == "queue" || entity == "queue" }
    var isVoicemail: Bool { entity == "voicemail" || dnKind == "voicemail" }
    var isExtension: Bool { !isVoicemail && (entity == "extension" || dnKind == "extension") }
    /// A menu, a script, a rule: something that is not a person.
    var isMachine: Bool { !isOutside && !isExtension && !isVoicemail }
    /// Whom a person would name.
    var identity: String { isOutside && !number.isEmpty ? number : dn }
  }

  package var id = ""
  package var call = ""
  package var mainCall = ""
  package var startedAt = Timestamp(microseconds: 0)
  package var answeredAt: Timestamp?
  package var endedAt: Timestamp?
  package var source = Side()
  package var destination = Side()
  package var creation = ""
  package var forwardReason = ""
  package var termination = ""
  package var details = ""

  package init() {}
}
