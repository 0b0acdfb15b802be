// Hold, transfer, park: the talk goes on elsewhere or waits.

internal import Basics
internal import CallModel

extension Switchboard {
  /// An Unhold without a Hold precedes every transfer and says nothing (Fixtures/asterisk/blind-transfer-refer).
  mutating func hold(_ facts: ChannelFacts, _ holds: Bool) {
    update(facts)
    guard let leg = legs[facts.id], leg.isHolding != holds, !leg.isLocal else { return }
    legs[facts.id]?.isHolding = holds
    let by = party(of: leg)
    emit(leg.call, holds ? .held(by: by, .hold) : .resumed(by: by, .hold), participant: leg.id)
  }

  mutating func blindTransfer(_ from: ChannelFacts, _ transferee: ChannelFacts?, _ to: String) {
    update(from)
    if let transferee { update(transferee) }
    guard let leg = legs[from.id] else { return }
    for other in conversation(around: from.id) where other.id != from.id { legs[other.id]?.isBeingMoved = true }
    if let transferee { legs[transferee.id]?.isBeingMoved = true }
    for other in liveLegs(of: leg.call) { legs[other.id]?.redirectedTo = nil }
    calls[leg.call]?.endRequester = nil
    emit(leg.call, .transferred(.blind, from: party(of: leg), to: party(dialled: to)), participant: leg.id)
  }

  /// Comes after the bridges were rearranged, so the consultation may already be part of this call.
  mutating func attendedTransfer(
    _ first: ChannelFacts, _ second: ChannelFacts, _ transferee: ChannelFacts?, _ target: ChannelFacts?
  ) {
    for facts in [first, second, transferee, target].compactMap({ $0 }) { update(facts) }
    guard let leg = legs[first.id] else { return }
    let key = transferee.flatMap { legs[$0.id]?.call } ?? leg.call
    if let other = legs[second.id]?.call, other != key { merge(key, other) }
    let survivor = legs[first.id]?.call ?? key
    let reached = (target.flatMap { partyBehind($0.id) } ?? consulted(survivor)).map { party(of: $0) }
    legs[first.id]?.isHolding = false
    calls[survivor]?.endRequester = nil
    if let target, isNobodyLeft(behind: target.id) { return }
    emit(
      survivor, .transferred(.attended, from: party(of: leg), to: reached ?? dialled(by: second)), participant: leg.id)
  }

  /// Whom the target's dialplan tried is gone: the PBX says that the transfer succeeded, and then calls the one who
  /// transferred back (Fixtures/asterisk/atxfer-target-busy).
  private func isNobodyLeft(behind id: String) -> Bool {
    guard let leg = legs[id], leg.isLocal, !leg.isUp, let other = localPairs[id] else { return false }
    let tried = legs.values.filter { $0.dialler == other && !$0.isLocal }
    return !tried.isEmpty && !tried.contains(where: \.isLive)
  }

  /// What the PBX dials by itself may be the telephone of somebody who left a talk by transferring it, for the one who
  /// is alone there now: it is a leg of that call.
  mutating func joinIfCalledBack(_ id: String) {
    guard let leg = legs[id], leg.origin == .originated, !leg.facts.connectedNumber.isEmpty,
      let left = legs.values.filter({ $0.call != leg.call && hasLeft($0, as: leg) }).max(by: { $0.bornAt < $1.bornAt })
    else { return }
    legs[id]?.origin = .called
    legs[id]?.role = left.role
    merge(leg.call, left.call)
  }

  private func hasLeft(_ other: LegRecord, as leg: LegRecord) -> Bool {
    guard other.device == leg.device, other.bridge == nil, other.askedToHangUp || !other.isLive,
      calls[other.call]?.isStarted == true
    else { return false }
    let alone = liveLegs(of: other.call).filter { $0.bridge != nil && !$0.isLocal }
    return alone.count == 1 && party(of: alone[0]).id == leg.facts.connectedNumber
  }

  /// Handed over before anybody was reached: to what was dialled, an application or a telephone that still rings.
  private func dialled(by second: ChannelFacts) -> Party? {
    if Self.isDialable(second.exten) { return party(dialled: second.exten) }
    return legs.values.first { $0.dialler == second.id && $0.isLive && !$0.isLocal }.map { party(of: $0) }
  }

  /// Somebody answers at his own telephone what rings at another: he is called from here on.
  mutating func pickedUp(_ by: ChannelFacts, _ target: ChannelFacts) {
    update(by)
    update(target)
    guard let rung = legs[target.id] else { return }
    legs[rung.id]?.wasPickedUp = true
    if let front = rung.dialler.flatMap({ localPairs[$0] }) { legs[front]?.wasPickedUp = true }
    legs[by.id]?.origin = .called
    legs[by.id]?.role = rung.role
    calls[rung.call]?.wasPickedUp = true
  }

  /// The party's leg behind a channel, through Local pairs.
  private func partyBehind(_ id: String) -> LegRecord? {
    guard let leg = legs[id] else { return nil }
    if !leg.isLocal { return leg }
    guard let other = localPairs[id] else { return nil }
    return conversation(around: other).last ?? legs.values.first { $0.dialler == other && !$0.isLocal }
  }

  private func consulted(_ key: Int) -> LegRecord? { liveLegs(of: key).last { $0.role == .consult } }

  // MARK: Parking

  mutating func parking(_ fact: Observation.Fact) {
    switch fact {
    case .parked(let parkee, let facts):
      update(parkee)
      guard let leg = legs[parkee.id] else { return }
      calls[leg.call]?.pendingPark = (parkee.id, facts)
      let isHeldThere = leg.bridge.flatMap { bridges[$0]?.kind } == .holding
      if isHeldThere { parkIfPending(leg.call) }
    case .unparked(let parkee, let facts, let retriever):
      if let retriever { update(retriever) }
      retrieved(parkee, facts, reason: "retrieved", by: retriever.flatMap { legs[$0.id] })
    case .parkTimedOut(let parkee, let facts): retrieved(parkee, facts, reason: "timeout", by: nil)
    case .parkGivenUp(let parkee, let facts): retrieved(parkee, facts, reason: "gave_up", by: nil)
    default: break
    }
  }

  /// Told when the parked channel has arrived in the parking bridge: an announced transfer is told before it
  /// (Fixtures/asterisk/park-by-transfer-giveup).
  mutating func parkIfPending(_ key: Int) {
    guard let pending = calls[key]?.pendingPark else { return }
    settleRedirect(of: key)
    calls[key]?.pendingPark = nil
    calls[key]?.parking = (pending.leg, pending.facts.slot)
    calls[key]?.endRequester = nil
    calls[key]?.call.externalIDs["parking_slot"] = pending.facts.slot
    emit(key, .parked(slot: pending.facts.slot, by: nil), participant: pending.leg)
  }

  private mutating func retrieved(_ parkee: ChannelFacts, _ facts: ParkingFacts, reason: String, by: LegRecord?) {
    update(parkee)
    guard let key = legs[parkee.id]?.call else { return }
    parkIfPending(key)
    guard calls[key]?.parking != nil else { return }
    calls[key]?.parking = nil
    calls[key]?.call.externalIDs["parking_slot"] = nil
    if let by { legs[by.id]?.role = .retriever }
    emit(key, .retrieved(slot: facts.slot, reason: reason, by: by.map { party(of: $0) }), participant: parkee.id)
  }

  // MARK: Recording

  mutating func recording(_ facts: ChannelFacts, _ step: CallEvent.RecordingStep, _ reference: String?) {
    update(facts)
    guard let leg = legs[facts.id] else { return }
    let known = calls[leg.call]?.recordings[facts.id]
    let name = reference ?? known.flatMap { $0 }
    if step == .completed {
      calls[leg.call]?.recordings[facts.id] = nil
    } else {
      calls[leg.call]?.recordings[facts.id] = .some(name)
    }
    emit(leg.call, .recording(step, reference: name), participant: facts.id)
  }
}
