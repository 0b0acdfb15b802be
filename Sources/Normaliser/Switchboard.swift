// Many channels become one call with one life. A value machine: observations in, events out, no clock, no I/O.
//
//                  ┌────────────────────────── transferred · held · parked · queued ───────────┐
//   (seen) ─▶ ring ─▶ leg ringing ─▶ started ─▶ leg answered ──────────────────────────────────┴─▶ ended
//
// A call is a set of channels grouped by the PBX's group id, re-read from every message, and by the bridges they
// share. Helpers (Local channels) join two bridges into one conversation and are never parties.
// Every fact that is already known is silent, so that order between topics, repetition and snapshots do no harm.
// Evidence for the rules: Tests/Fixtures/asterisk, one story each, with what the telephones saw.

package import Basics
package import CallModel

package struct Switchboard {
  /// Said of every event: `sidetone://host/asterisk`.
  package let source: String
  package let tenant: TenantID
  package var region: PhoneRegion?

  var legs: [String: LegRecord] = [:]
  var calls: [Int: CallRecord] = [:]
  var groups: [String: Int] = [:]
  var bridges: [String: BridgeFacts] = [:]
  /// Each half of a Local channel to the other.
  var localPairs: [String: String] = [:]
  /// Halves whose other half was not seen yet, by name.
  var localNames: [String: String] = [:]
  /// Which extension a device belongs to, where the PBX told.
  var extensionOfDevice: [String: String] = [:]
  var mailboxes: [String: Int] = [:]
  var agentStates: [String: String] = [:]
  var extensionStates: [String: String] = [:]
  /// Names the PBX's run, where it is known.
  package internal(set) var epoch = ""
  var generation = 0
  var isLinkUp = false
  var linkLostAt: Timestamp?
  /// This account is sent what filters hide, so that "no hang-up request" means that nobody made one.
  var seesEverything = false
  var isInferring = false
  var now = Timestamp(microseconds: 0)
  var lastCallKey = 0
  var out: [CallEvent] = []
  var linkOrdinal = 0
  /// Two legs that a command of ours joins, and who had both on the line.
  var commandedJoin: (one: String, two: String, by: Party)?
  /// Legs that a command of ours holds and whose other party is gone: nobody will come back for them.
  var stranded: [ChannelFacts] = []
  /// Groups that commands of ours will bring about: since when, and who is to talk with whom.
  var expected: [String: (since: Timestamp, from: String, to: String)] = [:]

  package init(source: String, tenant: TenantID = .standard, region: PhoneRegion? = nil) {
    (self.source, self.tenant, self.region) = (source, tenant, region)
  }

  /// The calls that have not ended, oldest first; only those that were told.
  package var activeCalls: [Call] {
    calls.values.filter(\.isTold).sorted { $0.key < $1.key }.map { model(of: $0) }
  }

  /// A call as it is now, told or not; nil when it is not known or has ended.
  package func call(_ id: CallID) -> Call? {
    calls.values.first { $0.call.id == id }.map { model(of: $0) }
  }

  package var legCount: Int { legs.count }

  /// What this observation means, in order; nothing when it was known.
  package mutating func apply(_ observation: Observation) -> [CallEvent] {
    now = observation.at
    step(observation.fact)
    defer { out.removeAll(keepingCapacity: true) }
    return out
  }

  private mutating func step(_ fact: Observation.Fact) {
    switch fact {
    case .linkUp(let epoch): linkCameUp(epoch)
    case .linkDown(let reason): linkWentDown(reason)
    case .shutdown: endAll(reason: "pbx_stopped")
    case .epoch(let epoch): learn(epoch)
    case .snapshotBegan: beginSnapshot()
    case .inferring(let isInferring): self.isInferring = isInferring
    case .vanished(let id): vanish(id)
    case .snapshotChannel, .snapshotBridge, .snapshotQueued, .snapshotParked, .snapshotEnded: snapshot(fact)

    case .channel(let facts), .connectedLine(let facts): update(facts)
    case .renamed(let id, let name): legs[id]?.facts.name = name
    case .dialBegan(let from, let to, let dialled): dialBegan(from, to, dialled)
    case .dialProgress(let to, let status): dialProgress(to, status)
    case .dialEnded(let from, let to, let status, let forward): dialEnded(from, to, status, forward)
    case .application(let facts, let name, let data):
      seesEverything = true
      applicationRuns(facts, name, data)
    case .applicationFound(let facts, let name, let data):
      applicationRuns(facts, name, data, since: aloneSince(facts.id))
    case .held(let facts): hold(facts, true)
    case .unheld(let facts): hold(facts, false)
    case .localPair(let one, let two): pair(one, two)

    case .hangupRequested(let facts, let cause): hangupRequested(facts, cause)
    case .hangupRequestedByPBX(let facts):
      seesEverything = true
      update(facts)
    case .hungUp(let facts, let cause): hungUp(facts, cause)

    case .bridgeEntered(let facts, let bridge): entered(facts, bridge)
    case .bridgeLeft(let facts, let bridge): left(facts, bridge)
    case .bridgeMerged: seesEverything = true
    case .blindTransfer(let from, let transferee, let to, let succeeded):
      if succeeded { blindTransfer(from, transferee, to) }
    case .attendedTransfer(let first, let second, let transferee, let target, let succeeded):
      if succeeded { attendedTransfer(first, second, transferee, target) }

    case .pickedUp(let by, let target): pickedUp(by, target)

    case .parked, .unparked, .parkTimedOut, .parkGivenUp: parking(fact)
    case .queueJoined, .queueLeft, .queueAbandoned, .agentCalled, .agentConnected, .agentRingNoAnswer: queue(fact)
    case .agentState(let queue, let agent, let status, let isPaused): agentState(queue, agent, status, isPaused)
    case .recording(let facts, let step, let reference): recording(facts, step, reference)
    case .mailbox(let mailbox, let new, let by): mailboxChanged(mailbox, new, by)
    case .extensionState(let exten, let device, let status): extensionState(exten, device, status)
    case .originateFailed(let id, let channel): originateFailed(id, channel)
    case .hangUpCommanded(let id, let isRefused):
      if let key = calls.values.first(where: { $0.call.id == id })?.key { calls[key]?.isHungUpByCommand = !isRefused }
    case .holdCommanded(let id, let isRefused):
      guard let key = calls.values.first(where: { $0.call.id == id })?.key else { return }
      for leg in liveLegs(of: key) where leg.bridge != nil { legs[leg.id]?.isSentToWait = !isRefused }
    case .joinCommanded(let leg, let other, let by): commandedJoin = (leg, other, by)
    case .unfilteredWitness: seesEverything = true
    }
  }

  // MARK: Telling

  /// Tells it, with the call as it is now.
  mutating func emit(_ key: Int, _ kind: CallEvent.Kind, participant: String = "", at time: Timestamp? = nil) {
    guard var record = calls[key] else { return }
    record.ordinal += 1
    calls[key] = record
    let id = Identity.event(
      source: source, epoch: record.call.externalIDs["epoch"] ?? "", key: record.nativeKey, type: kind.type,
      participant: participant, ordinal: record.ordinal, firstSeen: record.call.startedAt)
    out.append(
      CallEvent(
        id: id, source: source, tenant: tenant, occurredAt: time ?? now, kind: kind, call: model(of: record),
        isInferred: isInferring))
  }

  /// Tells something that belongs to no call.
  mutating func emit(_ kind: CallEvent.Kind, about subject: String) {
    linkOrdinal += 1
    let id = Identity.event(
      source: source, epoch: epoch, key: subject, type: kind.type, participant: String(now.microseconds),
      ordinal: linkOrdinal, firstSeen: now)
    out.append(
      CallEvent(id: id, source: source, tenant: tenant, occurredAt: now, kind: kind, call: nil, isInferred: isInferring)
    )
  }

  /// The call with its legs and state filled in.
  func model(of record: CallRecord) -> Call {
    var call = record.call
    call.legs = record.legIDs.compactMap { legs[$0] }.filter { !$0.isLocal }.map { model(of: $0) } + record.services
    call.state = state(of: record, call.legs)
    return call
  }

  private func state(of record: CallRecord, _ legs: [Leg]) -> CallState {
    if record.call.isEnded { return .ended }
    if record.parking != nil { return .parked }
    if record.queue != nil { return .queued }
    if record.isBridgeHeld || legs.contains(where: \.isHolding) { return .held }
    if record.isStarted { return .active }
    return legs.contains { $0.state == .ringing } ? .ringing : .dialing
  }

  func model(of leg: LegRecord) -> Leg {
    let party = party(of: leg)
    return Leg(
      id: leg.id, channel: leg.facts.name, role: leg.role, party: party,
      number: number(party.id, name: leg.birth.callerName), state: legState(leg), ringingAt: leg.ringingAt,
      answeredAt: leg.connectedAt, endedAt: leg.endedAt, reason: leg.endReason, isHolding: leg.isHolding)
  }

  private func legState(_ leg: LegRecord) -> LegState {
    if leg.endedAt != nil { return .ended }
    if leg.connectedAt != nil || leg.origin == .caller && leg.isUp { return .answered }
    return leg.ringingAt != nil ? .ringing : .dialing
  }

  func number(_ raw: String, name: String = "") -> Number {
    Number(raw: raw, e164: PhoneRegion.international(raw, in: region), name: name.isEmpty ? nil : name)
  }

  // MARK: Small questions

  /// Names of channels that came up alone and that nothing explains: what runs on them is worth asking the PBX, where
  /// the account may not see the dialplan.
  package var unexplainedChannels: [String] {
    legs.values.filter { leg in
      leg.isUp && leg.isLive && !leg.isLocal && leg.origin != .called && leg.bridge == nil
        && calls[leg.call].map { !$0.isStarted && $0.queue == nil && $0.parking == nil } == true
        && !liveLegs(of: leg.call).contains { $0.origin == .called }
    }.map(\.facts.name)
  }

  /// Channels left alone in a call that is held by command, since last asked: each is to be hung up.
  package mutating func takeStranded() -> [ChannelFacts] {
    defer { stranded = [] }
    return stranded
  }

  /// The call that has this channel group already.
  package func known(group: String) -> CallID? { groups[group].flatMap { calls[$0]?.call.id } }

  /// The call of a channel group is going to be this one.
  /// - Returns: its id, the same that its events will carry.
  package mutating func expect(group: String, from: String, to: String, at time: Timestamp) -> CallID {
    expected = expected.filter { time.seconds(since: $0.value.since) < 330 }
    expected[group] = (time, from, to)
    return Identity.call(source: source, epoch: epoch, key: group, firstSeen: time)
  }

  func liveLegs(of key: Int) -> [LegRecord] {
    (calls[key]?.legIDs ?? []).compactMap { legs[$0] }.filter(\.isLive)
  }

  func parties(of key: Int) -> [LegRecord] {
    (calls[key]?.legIDs ?? []).compactMap { legs[$0] }.filter { !$0.isLocal }
  }
}
