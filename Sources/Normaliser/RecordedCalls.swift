// What the PBX's own records add to what was heard: calls that were missed altogether, and what only the records know of
// calls that were heard. Everything here is inferred, with ids that the same record always gives.

package import Basics
package import CallModel

package struct RecordedCalls {
  private let source: String
  private let tenant: TenantID

  package init(source: String, tenant: TenantID = .standard) { (self.source, self.tenant) = (source, tenant) }

  /// The life of a call that nobody heard.
  package func events(of call: Call) -> [CallEvent] {
    let endedAt = call.endedAt ?? call.startedAt
    var events = [event(.ring, call, at: call.startedAt, 1)]
    if let answeredAt = call.answeredAt { events.append(event(.started, call, at: answeredAt, 2)) }
    events.append(event(.ended, call, at: endedAt, 3))
    return events
  }

  /// One difference between what was heard and what is recorded, by the name of the field.
  package struct Difference: Hashable, Sendable {
    package let field: String
    package let heard: String
    package let recorded: String
  }

  package static func differences(_ heard: Call, _ recorded: Call) -> [Difference] {
    var found: [Difference] = []
    func compare(_ field: String, _ one: String?, _ two: String?) {
      if let two, !two.isEmpty, one != two { found.append(Difference(field: field, heard: one ?? "", recorded: two)) }
    }
    compare("did", heard.did, recorded.did)
    compare("queue", heard.queue, recorded.queue)
    compare("disposition", heard.disposition?.rawValue, recorded.disposition?.rawValue)
    compare("answered_by", heard.answeredBy?.id, recorded.answeredBy?.id)
    compare("call_history_id", heard.externalIDs["call_history_id"], recorded.externalIDs["call_history_id"])
    return found
  }

  /// The heard call with what the records know better; nil when they add nothing.
  package func update(_ heard: Call, by recorded: Call) -> CallEvent? {
    guard !Self.differences(heard, recorded).isEmpty else { return nil }
    var call = heard
    call.did = recorded.did ?? heard.did
    if heard.did == nil, let to = recorded.to, recorded.did != nil { call.to = to }
    call.queue = heard.queue ?? recorded.queue
    if let disposition = recorded.disposition { (call.disposition, call.reason) = (disposition, recorded.reason) }
    call.answeredBy = recorded.answeredBy ?? heard.answeredBy
    call.externalIDs["call_history_id"] = recorded.externalIDs["call_history_id"]
    // What is learnt later is another event.
    let content = [call.did, call.disposition?.rawValue, call.answeredBy?.id, call.queue].map { $0 ?? "" }
    return event(.updated, call, at: heard.endedAt ?? heard.startedAt, 4, content.joined(separator: " "))
  }

  /// A message that stands in the records.
  /// - Parameter key: its id there.
  package func event(of voicemail: Voicemail, key: String, at time: Timestamp) -> CallEvent {
    let kind = CallEvent.Kind.voicemailReceived(voicemail)
    let id = Identity.event(
      source: source, epoch: "", key: "voicemail \(key)", type: kind.type, participant: voicemail.mailbox, ordinal: 1,
      firstSeen: time)
    return CallEvent(id: id, source: source, tenant: tenant, occurredAt: time, kind: kind, call: nil)
  }

  /// A recording of this call that lies at the PBX.
  package func event(of recording: RecordedRecording, in call: Call) -> CallEvent {
    let kind = CallEvent.Kind.recording(.completed, reference: recording.reference, file: recording.file)
    let id = Identity.event(
      source: source, epoch: "", key: "recording \(recording.id)", type: kind.type, participant: "cdr", ordinal: 1,
      firstSeen: call.startedAt)
    return CallEvent(
      id: id, source: source, tenant: tenant, occurredAt: recording.endedAt ?? call.endedAt ?? call.startedAt,
      kind: kind,
      call: call, isInferred: false)
  }

  private func event(_ kind: CallEvent.Kind, _ call: Call, at time: Timestamp, _ ordinal: Int, _ content: String = "")
    -> CallEvent
  {
    let id = Identity.event(
      source: source, epoch: "", key: call.externalIDs["call_history_id"] ?? call.id.description, type: kind.type,
      participant: "cdr" + content, ordinal: ordinal, firstSeen: call.startedAt)
    return CallEvent(
      id: id, source: source, tenant: tenant, occurredAt: time, kind: kind, call: call, isInferred: true)
  }
}
