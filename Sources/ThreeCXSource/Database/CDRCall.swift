// Legs of one call record put together: who called whom, who answered, how it ended. A value; rules as `docs/events.md`
// has them for live calls.

internal import Basics
package import CallModel
internal import Crypto

package enum CDRCall {
  /// More legs than this are counted and not shown: a forwarding loop made 3176 of one call.
  package static let legLimit = 50

  /// The call of these legs, all of one `call_history_id`; nil for none.
  package static func call(of legs: [CDRLeg], region: PhoneRegion? = nil) -> Call? {
    let legs = legs.sorted { ($0.startedAt, $0.id) < ($1.startedAt, $1.id) }
    guard let first = legs.first else { return nil }
    // As every call's id: the milliseconds of its beginning, then a digest of what the PBX calls it.
    let id = UUID(
      milliseconds: first.startedAt.milliseconds, digest: Digest.sha256Halves(Array("cdr \(first.call)".utf8)))
    func number(_ side: CDRLeg.Side) -> Number {
      Number(
        raw: side.identity, e164: PhoneRegion.international(side.identity, in: region),
        name: side.name.isEmpty ? nil : side.name)
    }
    var call = Call(id: CallID(id), direction: direction(legs), startedAt: first.startedAt)
    call.from = number(first.source)
    let did = legs.lazy.map(\.source.did).first { !$0.isEmpty }
    call.did = call.direction == .inbound ? did : nil
    call.to =
      call.did.map { Number(raw: $0, e164: PhoneRegion.international($0, in: region), name: nil) }
      ?? number(legs.first { !$0.destination.identity.isEmpty }?.destination ?? first.destination)
    call.queue = legs.first { $0.destination.isQueue }?.destination.dn
    call.endedAt = legs.compactMap(\.endedAt).max()
    answer(&call, legs)
    (call.disposition, call.reason) = disposition(call, legs)
    call.legs = legs.prefix(legLimit).filter { !$0.destination.identity.isEmpty }.map {
      leg($0, number($0.destination))
    }
    call.state = .ended
    call.externalIDs = ["call_history_id": first.call]
    if legs.count > legLimit { call.externalIDs["legs"] = String(legs.count) }
    return call
  }

  private static func direction(_ legs: [CDRLeg]) -> Direction {
    if legs[0].source.isOutside { return .inbound }
    return legs.contains { $0.destination.isOutside } ? .outbound : .internal
  }

  /// A person before a mailbox before a machine; being queued is not being answered.
  private static func answer(_ call: inout Call, _ legs: [CDRLeg]) {
    let answered = legs.filter { $0.answeredAt != nil && !$0.destination.isQueue }
    let person = answered.first { $0.destination.isExtension || $0.destination.isOutside }
    guard
      let leg = person ?? answered.first(where: { $0.destination.isVoicemail })
        ?? answered.first(where: { $0.destination.entity == "script" || $0.destination.entity == "ivr" })
    else {
      call.ringSeconds = call.endedAt.map { max(0, $0.seconds(since: call.startedAt)) }
      call.talkSeconds = 0
      return
    }
    call.answeredBy = party(leg.destination)
    call.answeredAt = leg.answeredAt
    call.ringSeconds = leg.answeredAt.map { max(0, $0.seconds(since: leg.startedAt)) }
    call.talkSeconds = leg.answeredAt.flatMap { answered in call.endedAt.map { max(0, $0.seconds(since: answered)) } }
  }

  private static func party(_ side: CDRLeg.Side) -> Party {
    if side.isVoicemail { return Party(.voicemail, side.dn + "@default") }
    if side.isOutside { return Party(.external, side.identity) }
    return side.isExtension ? Party(.extension, side.dn) : Party(.ivr, side.dn)
  }

  private static func disposition(_ call: Call, _ legs: [CDRLeg]) -> (Disposition, String?) {
    switch call.answeredBy?.kind {
    case .extension, .external: return (.answered, nil)
    case .voicemail: return (.voicemail, nil)
    default: break
    }
    if call.queue != nil { return (.abandoned, nil) }
    if call.answeredBy != nil { return (.answered, nil) }
    let reasons = Set(legs.flatMap { [$0.termination, $0.details, $0.forwardReason] })
    if reasons.contains("busy") { return (.busy, nil) }
    if reasons.contains("declined") || reasons.contains("rejected") { return (.declined, nil) }
    if reasons.contains("no_route") || reasons.contains("no_destinations") { return (.failed, "unreachable") }
    if reasons.contains("not_registered") { return (.failed, "unreachable") }
    if reasons.contains("forwarding_loop") { return (.failed, "forwarding_loop") }
    if legs.last?.termination == "src_participant_terminated" || reasons.contains("cancelled") {
      return (.cancelled, nil)
    }
    return (.noAnswer, nil)
  }

  private static func leg(_ leg: CDRLeg, _ number: Number) -> Leg {
    Leg(
      id: leg.id, channel: "", role: role(leg), party: party(leg.destination), number: number, state: .ended,
      ringingAt: leg.startedAt, answeredAt: leg.answeredAt, endedAt: leg.endedAt,
      reason: leg.termination.isEmpty ? nil : leg.termination)
  }

  private static func role(_ leg: CDRLeg) -> LegRole {
    if leg.destination.isExtension { return leg.source.isQueue || leg.forwardReason == "polling" ? .agent : .callee }
    return leg.destination.isMachine || leg.destination.isVoicemail ? .service : .callee
  }
}
