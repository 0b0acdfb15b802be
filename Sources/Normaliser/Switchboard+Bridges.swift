// Bridges: who is connected with whom, and what it means when a channel leaves one.

internal import Basics
internal import CallModel

extension Switchboard {
  mutating func pair(_ one: ChannelFacts, _ two: ChannelFacts) {
    update(one)
    update(two)
    localPairs[one.id] = two.id
    localPairs[two.id] = one.id
  }

  mutating func entered(_ facts: ChannelFacts, _ bridge: BridgeFacts) {
    bridges[bridge.id] = bridge
    if legs[facts.id] != nil { legs[facts.id]?.bridge = bridge.id }
    update(facts)
    legs[facts.id]?.bridge = bridge.id
    legs[facts.id]?.entryPlace = facts.context + "," + facts.exten
    legs[facts.id]?.isBeingMoved = false
    guard let leg = legs[facts.id], leg.isLive else { return }
    switch bridge.kind {
    case .talk: connect(facts.id)
    case .holding: parkIfPending(leg.call)
    case .conference:
      guard !leg.isLocal else { break }
      taken(leg.call, by: Party(.conference, bridge.name))
      if liveLegs(of: leg.call).allSatisfy({ $0.isLocal || $0.bridge != nil }) { endBridgeHold(of: leg.call) }
    case .application: if !leg.isLocal { joinedApplication(leg) }
    }
  }

  /// An application joins its own channels; each stays a call of its own.
  private mutating func joinedApplication(_ leg: LegRecord) {
    if leg.origin == .originated { return start(leg.call, by: party(of: leg)) }
    let application = leg.application.flatMap { Application.party($0.name, $0.data, exten: leg.facts.exten) }
    taken(leg.call, by: application ?? Party(.application, "service"))
  }

  /// Everybody in this conversation: members of the bridge, and through Local pairs of the bridges beyond.
  func conversation(around id: String) -> [LegRecord] {
    var seen: Set<String> = []
    var open = legs[id]?.bridge.map { [$0] } ?? []
    var found: [LegRecord] = []
    while let bridge = open.popLast() {
      guard seen.insert(bridge).inserted else { continue }
      for leg in legs.values where leg.bridge == bridge && leg.isLive {
        if !leg.isLocal { found.append(leg) }
        if let other = localPairs[leg.id], let beyond = legs[other]?.bridge { open.append(beyond) }
      }
    }
    return found.sorted { ($0.bornAt, $0.id) < ($1.bornAt, $1.id) }
  }

  private mutating func connect(_ id: String) {
    let people = conversation(around: id)
    guard people.count >= 2 else { return }
    let key = mergeCalls(of: people)
    calls[key]?.endRequester = nil
    tellCommandedJoin(key, people)
    // A telephone that still rings may be put into a bridge: it has not answered.
    let called = people.compactMap { legs[$0.id] }.filter { $0.origin != .caller && $0.facts.state != .ringing }
    if let record = calls[key], !record.isStarted || record.call.answeredBy?.isPerson == false {
      let answerer = called.last { !$0.wasToldAnswered } ?? called.last ?? people.last { $0.id != record.callerLeg }
      if let answerer { start(key, by: party(of: answerer)) }
    }
    for leg in called { answered(leg.id) }
    for leg in people where leg.connectedAt == nil { legs[leg.id]?.connectedAt = now }
    endBridgeHold(of: key)
    for leg in people { legs[leg.id]?.redirectedTo = nil }
  }

  /// Those who were taken out of the talk by command are in a bridge again.
  private mutating func endBridgeHold(of key: Int) {
    guard calls[key]?.isBridgeHeld == true else { return }
    calls[key]?.isBridgeHeld = false
    emit(key, .resumed(by: nil, .bridge))
  }

  private mutating func tellCommandedJoin(_ key: Int, _ people: [LegRecord]) {
    guard let join = commandedJoin, let other = people.first(where: { $0.id == join.two }),
      people.contains(where: { $0.id == join.one })
    else { return }
    commandedJoin = nil
    emit(key, .transferred(.attended, from: join.by, to: party(of: other)), participant: other.id)
  }

  mutating func left(_ facts: ChannelFacts, _ bridge: BridgeFacts) {
    update(facts)
    guard let leg = legs[facts.id], leg.bridge == bridge.id else { return }
    legs[facts.id]?.bridge = nil
    legs[facts.id]?.isBeingMoved = false
    guard bridge.kind == .talk, !leg.isLocal else { return }
    let isElsewhere =
      !leg.isBeingMoved && !leg.entryPlace.isEmpty && leg.entryPlace != leg.place && Self.isDialablePlace(leg)
    if leg.isSentToWait || isElsewhere { legs[facts.id]?.redirectedTo = leg.facts.exten }
    legs[facts.id]?.isSentToWait = false
    // Two that were moved are held. One may yet turn out to be transferred: the next thing that it does will tell.
    if liveLegs(of: leg.call).count(where: { $0.redirectedTo != nil }) >= 2 { settleRedirect(of: leg.call) }
  }

  private static func isDialablePlace(_ leg: LegRecord) -> Bool { !leg.facts.exten.isEmpty && leg.facts.exten != "h" }

  /// Channels were sent away from their bridge by command. Both: the talk is held. One: it was redirected.
  mutating func settleRedirect(of key: Int) {
    let moved = liveLegs(of: key).filter { $0.redirectedTo != nil }
    guard let first = moved.first, let target = first.redirectedTo else { return }
    for leg in moved { legs[leg.id]?.redirectedTo = nil }
    if moved.count >= 2 {
      calls[key]?.isBridgeHeld = true
      emit(key, .held(by: nil, .bridge))
    } else {
      emit(key, .transferred(.redirect, from: party(of: first), to: party(dialled: target)), participant: first.id)
    }
  }

  // MARK: Grouping

  /// The PBX counts the channel to another group now: its call joins the one that has the group already, unless an
  /// application's bridge is the reason, which makes no one call of many.
  mutating func regroup(_ id: String, to group: String) {
    guard let leg = legs[id] else { return }
    legs[id]?.facts.group = group
    if let bridge = leg.bridge.flatMap({ bridges[$0] }), bridge.kind == .conference || bridge.kind == .application {
      return
    }
    guard let other = groups[group] else {
      groups[group] = leg.call
      return
    }
    if other != leg.call { merge(leg.call, other) }
  }

  /// One call of all that these legs belong to.
  private mutating func mergeCalls(of people: [LegRecord]) -> Int {
    var key = people[0].call
    for leg in people.dropFirst() {
      guard let current = legs[leg.id]?.call, current != key else { continue }
      key = merge(key, current)
    }
    return key
  }

  /// The older call lives on, or the one that was told where the other was not; the other ends as `merged`.
  @discardableResult
  mutating func merge(_ one: Int, _ two: Int) -> Int {
    guard let first = calls[min(one, two)], let second = calls[max(one, two)] else {
      return calls[one] == nil ? two : one
    }
    let keepsSecond = !first.isTold && second.isTold
    let (survivor, loser) = keepsSecond ? (second, first) : (first, second)
    if loser.isTold { endMerged(loser.key, into: survivor.call.id) }
    if let waiting = loser.queue, survivor.queue == nil { joined(survivor.key, waiting.name, nil) }
    for id in loser.legIDs {
      legs[id]?.call = survivor.key
      if legs[id]?.origin == .caller, !loser.isTold { legs[id]?.role = .retriever }
    }
    calls[survivor.key]?.legIDs += loser.legIDs
    for (group, key) in groups where key == loser.key { groups[group] = survivor.key }
    calls[loser.key] = nil
    return survivor.key
  }

  private mutating func endMerged(_ key: Int, into survivor: CallID) {
    if let queue = calls[key]?.queue { dequeue(key, queue.name, reason: "transferred") }
    guard var record = calls[key] else { return }
    record.call.endedAt = now
    record.call.mergedInto = survivor
    record.call.reason = "merged"
    // A telephone that the PBX called by itself may have answered before it is known for whom.
    let isTaken = record.isStarted || record.legIDs.contains { legs[$0]?.wasToldAnswered == true }
    record.call.disposition = isTaken ? .answered : .cancelled
    if record.call.ringSeconds == nil { record.call.ringSeconds = ringSeconds(record, until: now) }
    record.call.talkSeconds = record.call.answeredAt.map { Self.rounded(now.seconds(since: $0)) } ?? 0
    calls[key] = record
    emit(key, .ended)
  }
}
