// How a leg ends, how a call ends, who ended it, and what that makes of it. Every call ends exactly once.

internal import Basics
internal import CallModel

extension Switchboard {
  /// The far end of this channel asked to hang up. A caller who is refused by the PBX acknowledges the refusal with
  /// the same message: its cause is an error then, and nobody's wish.
  mutating func hangupRequested(_ facts: ChannelFacts, _ cause: Int?) {
    seesEverything = true
    update(facts)
    guard let leg = legs[facts.id], !leg.isLocal, let record = calls[leg.call] else { return }
    let isBeingTried = liveLegs(of: leg.call).contains { $0.origin == .called && !$0.isLocal && $0.dialStatus == nil }
    let isRefusal = leg.origin == .caller && !leg.isUp && !isBeingTried && ![nil, 0, 16, 127, 26].contains(cause)
    guard !isRefusal else { return }
    legs[facts.id]?.askedToHangUp = true
    legs[facts.id]?.gaveUp = isBeingTried
    // Who never was on the line refuses; he ends nobody's talk.
    guard leg.isUp || leg.origin == .caller else { return }
    let isStale = record.endRequester.map { legs[$0]?.isLive != true } ?? true
    if isStale { calls[leg.call]?.endRequester = facts.id }
  }

  mutating func hungUp(_ facts: ChannelFacts, _ cause: Int) {
    let wasKnownUp = legs[facts.id]?.isUp ?? false
    if !wasKnownUp, legs[facts.id] != nil { legs[facts.id]?.facts.state = facts.state }
    update(facts)
    end(facts.id, cause: cause)
  }

  mutating func end(_ id: String, cause: Int, reason: String? = nil) {
    guard var leg = legs[id], leg.isLive else { return }
    leg.endedAt = now
    leg.bridge = nil
    leg.outcome = outcome(of: leg, cause)
    leg.isHolding = false
    leg.endReason = leg.endReason ?? reason ?? Self.reason(leg)
    legs[id] = leg
    let key = leg.call
    if liveLegs(of: key).allSatisfy({ $0.redirectedTo == nil }) == false, leg.redirectedTo == nil {
      settleRedirect(of: key)
    }
    if leg.origin == .originated, leg.wasToldRinging, !leg.wasToldAnswered, calls[key]?.hasRung == false {
      calls[key]?.hasRung = true
      emit(key, .ring, at: leg.ringingAt)
    }
    if liveLegs(of: key).isEmpty { recognizeSilentAnswer(key, parties(of: key)) }
    if !leg.isLocal, leg.wasToldRinging || leg.wasToldAnswered {
      emit(key, .legEnded(model(of: leg), reason: leg.endReason ?? "ended"), participant: id)
    } else if !leg.isLocal, calls[key]?.isTold == true, liveLegs(of: key).count(where: { !$0.isLocal }) >= 2 {
      // The caller left and the others talk on: nothing of his own was told, but he is no longer there.
      emit(key, .updated, participant: id)
    }
    strand(key)
    // Who is left alone may be with a machine already: a transfer to a mailbox ends whoever transferred after it.
    let left = liveLegs(of: key).filter { !$0.isLocal }
    if left.count == 1 { considerApplication(left[0].id) }
    if liveLegs(of: key).isEmpty { finish(key, cause: cause) }
  }

  private mutating func strand(_ key: Int) {
    guard calls[key]?.isBridgeHeld == true else { return }
    let left = liveLegs(of: key)
    if left.count == 1 { stranded.append(left[0].facts) }
  }

  // MARK: Outcomes

  /// Q.850 causes as Asterisk 22 maps them from SIP: 17 = 486, 21 = 603, 19 = rang out, 26 = answered elsewhere.
  private func outcome(of leg: LegRecord, _ cause: Int) -> LegRecord.Outcome {
    guard leg.connectedAt == nil, leg.origin != .caller else { return .none }
    if calls[leg.call]?.isHungUpByCommand == true { return .cancelled }
    if leg.wasPickedUp { return .answeredElsewhere }
    switch (cause, dialStatus(of: leg)) {
    case (26, _): return .answeredElsewhere
    case (_, "CANCEL"): return .cancelled
    case (_, "ANSWER"): return .none
    case (17, _), (_, "BUSY"): return .busy
    case (21, _): return party(of: leg).kind == .external ? .rejected : .declined
    case (18, _), (19, _): return .noAnswer
    case (0, "NOANSWER"), (16, "NOANSWER"): return .noAnswer
    case (0, _), (16, _): return leg.wasToldRinging ? .noAnswer : .cancelled
    default: return leg.askedToHangUp ? .rejected : .unreachable
    }
  }

  /// A Local channel that nobody answers cancels whoever is rung behind it: why stands at the front of the chain.
  private func dialStatus(of leg: LegRecord, depth: Int = 8) -> String? {
    guard leg.dialStatus == "CANCEL", depth > 0,
      let front = leg.dialler.flatMap({ localPairs[$0] }).flatMap({ legs[$0] })
    else { return leg.dialStatus }
    if front.outcome == .noAnswer { return "NOANSWER" }
    return front.dialStatus == nil ? leg.dialStatus : dialStatus(of: front, depth: depth - 1)
  }

  private static func reason(_ leg: LegRecord) -> String {
    switch leg.outcome {
    case .none: "completed"
    case .busy: "busy"
    case .declined: "declined"
    case .noAnswer: "no_answer"
    case .cancelled: "cancelled"
    case .answeredElsewhere: "answered_elsewhere"
    case .rejected: "rejected"
    case .unreachable: "unreachable"
    case .unknownNumber: "unknown_number"
    }
  }

  // MARK: The end of the call

  private mutating func finish(_ key: Int, cause: Int) {
    defer { forget(key) }
    let people = parties(of: key)
    guard !people.isEmpty else { return }
    parkIfPending(key)
    closeRecordings(key)
    if let queue = calls[key]?.queue { dequeue(key, queue.name, reason: "abandoned") }
    guard var record = calls[key] else { return }
    let endedAt = people.compactMap(\.endedAt).max() ?? now
    let (disposition, reason) = disposition(record, people, cause)
    record.call.disposition = disposition
    record.call.reason = record.unseenEnd ?? reason
    record.call.endedBy = endedBy(record, people, disposition)
    if !record.isStarted { record.call.ringSeconds = ringSeconds(record, until: endedAt) }
    record.call.talkSeconds = talkSeconds(record, until: endedAt)
    record.call.endedAt = endedAt
    for index in record.services.indices {
      (record.services[index].state, record.services[index].endedAt) = (.ended, endedAt)
    }
    calls[key] = record
    emit(key, .ended, at: endedAt)
  }

  private func talkSeconds(_ record: CallRecord, until end: Timestamp) -> Double? {
    guard record.isStarted else { return 0 }
    return record.call.answeredAt.map { Self.rounded(max(0, end.seconds(since: $0))) }
  }

  private mutating func forget(_ key: Int) {
    for id in calls[key]?.legIDs ?? [] {
      if let leg = legs[id], leg.isLocal { localNames[leg.facts.name] = nil }
      legs[id] = nil
      localPairs[id] = nil
    }
    for (group, owner) in groups where owner == key { groups[group] = nil }
    let used = Set(legs.values.compactMap(\.bridge))
    if bridges.count > 2 * used.count + 64 { bridges = bridges.filter { used.contains($0.key) } }
    calls[key] = nil
  }

  private mutating func closeRecordings(_ key: Int) {
    for (leg, reference) in (calls[key]?.recordings ?? [:]).sorted(by: { $0.key < $1.key }) {
      let before = isInferring
      isInferring = true
      emit(key, .recording(.completed, reference: reference), participant: leg)
      isInferring = before
    }
    calls[key]?.recordings = [:]
  }

  /// Some answers are never shown: a filter hides the bridge, or the account may not see which application ran.
  private mutating func recognizeSilentAnswer(_ key: Int, _ people: [LegRecord]) {
    guard let record = calls[key], !record.isStarted, !record.wasAbandoned, record.queue == nil else { return }
    let called = people.filter { $0.origin == .called }
    let callee = called.last { $0.isUp }
    if let callee, people.contains(where: { $0.origin != .called && $0.isUp }) {
      return recognize(key, by: party(of: callee), at: callee.upAt)
    }
    guard let first = people.first(where: { $0.origin != .called && $0.isUp }),
      !Application.isTone(first.application?.name)
    else { return }
    if first.origin == .originated { return recognize(key, by: party(of: first), at: first.upAt) }
    if let mailbox = record.mailbox, !called.isEmpty {
      return taken(key, by: Party(.voicemail, mailbox), at: first.upAt)
    }
    guard called.isEmpty, record.call.queue == nil, let upAt = first.upAt else { return }
    taken(key, by: machine(that: record.mailbox, hasHad: first), at: upAt)
  }

  /// Nothing but a mailbox that changed tells of it: its owner listened, anybody else left a message.
  private func machine(that mailbox: String?, hasHad leg: LegRecord) -> Party {
    guard let mailbox else { return Party(.application, "service") }
    let isOwner = mailbox.prefix { $0 != "@" } == party(of: leg).id
    return isOwner ? Party(.application, "voicemail-main") : Party(.voicemail, mailbox)
  }

  private mutating func recognize(_ key: Int, by party: Party, at time: Timestamp?) {
    if let time { return start(key, by: party, at: time) }
    calls[key]?.call.answeredBy = party
    calls[key]?.isStarted = true
    calls[key]?.timesAreUnknown = true
  }

  private func disposition(_ record: CallRecord, _ people: [LegRecord], _ cause: Int) -> (Disposition, String?) {
    let answeredByPerson = record.call.answeredBy?.isPerson == true
    if record.wasAbandoned, !answeredByPerson { return (.abandoned, nil) }
    if record.call.answeredBy?.kind == .voicemail { return (.voicemail, nil) }
    if record.isStarted { return (.answered, nil) }
    let called = people.filter { $0.origin != .caller }
    let outcomes = called.map(\.outcome).filter { $0 != .none && $0 != .answeredElsewhere }
    if record.isHungUpByCommand || callerGaveUp(record, outcomes) { return (.cancelled, nil) }
    if outcomes.contains(.noAnswer) { return (.noAnswer, nil) }
    switch outcomes.last {
    case .busy: return (.busy, nil)
    case .declined: return (.declined, nil)
    case .cancelled: return (.cancelled, nil)
    case .rejected: return (.failed, "rejected")
    case .unreachable: return (.failed, "unreachable")
    case .noAnswer, .unknownNumber, .answeredElsewhere, LegRecord.Outcome.none?, nil: return refusedByPBX(people, cause)
    }
  }

  /// Who hangs up in the tone that follows a refusal did not cancel anything: the refusal is how the call ended.
  private func callerGaveUp(_ record: CallRecord, _ outcomes: [LegRecord.Outcome]) -> Bool {
    guard let caller = record.callerLeg.flatMap({ legs[$0] }), caller.askedToHangUp else { return false }
    let wasRefused = outcomes.last.map { [.busy, .declined, .rejected, .unreachable].contains($0) } ?? false
    return caller.gaveUp || !caller.isUp || !wasRefused
  }

  /// Nobody was called: the PBX itself refused the caller, and its cause says why (Q.850).
  private func refusedByPBX(_ people: [LegRecord], _ cause: Int) -> (Disposition, String?) {
    switch cause {
    case 3, 18, 20, 27, 34, 38, 41, 42, 44, 58: (.failed, "unreachable")
    case 1, 22, 28: (.failed, "unknown_number")
    case 19: (.noAnswer, nil)
    case 0 where !seesEverything, 16 where !seesEverything: (.failed, nil)
    default: (.failed, "rejected")
    }
  }

  private func endedBy(_ record: CallRecord, _ people: [LegRecord], _ disposition: Disposition) -> Party? {
    if record.isHungUpByCommand { return .system }
    let nobody: Party? = seesEverything || record.unseenEnd != nil ? .system : nil
    switch disposition {
    case .answered, .voicemail:
      return record.endRequester.flatMap { legs[$0] }.map { party(of: $0) } ?? nobody
    case .cancelled, .abandoned:
      let caller = record.callerLeg.flatMap { legs[$0] } ?? people.first { $0.origin == .caller }
      return caller.flatMap { $0.askedToHangUp || disposition == .abandoned ? party(of: $0) : nil } ?? nobody
    case .busy, .declined, .failed:
      return people.last { $0.origin != .caller && $0.askedToHangUp }.map { party(of: $0) } ?? nobody
    case .noAnswer, .blocked: return nobody
    }
  }
}
