// The link to the PBX comes and goes; a snapshot tells what was missed, and what that implies is told as inferred.

package import Basics
package import CallModel

extension Switchboard {
  mutating func linkCameUp(_ epoch: String?) {
    if let epoch { learn(epoch) }
    guard !isLinkUp else { return }
    isLinkUp = true
    beginSnapshot()
    emit(.linkUp, about: "link")
    if let lost = linkLostAt { emit(.linkGap(from: lost, to: now), about: "link") }
    linkLostAt = nil
  }

  mutating func beginSnapshot() {
    generation += 1
    for id in legs.keys { legs[id]?.isListed = false }
  }

  mutating func linkWentDown(_ reason: String) {
    seesEverything = false
    guard isLinkUp else { return }
    isLinkUp = false
    linkLostAt = now
    emit(.linkDown(reason: reason), about: "link")
  }

  /// Another run of the PBX: nothing of the former one is left.
  mutating func learn(_ name: String) {
    guard name != epoch, !name.isEmpty else { return }
    let isFirst = epoch.isEmpty
    epoch = name
    if !isFirst { endAll(reason: "pbx_restarted", onlyBefore: generation) }
  }

  /// Every call ends now, unseen.
  mutating func endAll(reason: String, onlyBefore limit: Int = .max) {
    inferring { board in
      for leg in board.legs.values.sorted(by: { ($0.call, $0.bornAt, $0.id) < ($1.call, $1.bornAt, $1.id) })
      where leg.generation < limit {
        board.calls[leg.call]?.unseenEnd = reason
        board.end(leg.id, cause: 16, reason: reason)
      }
    }
  }

  /// The link is gone for good: at the end of a recording, say. No call is left open.
  package mutating func close(at time: Timestamp, reason: String) -> [CallEvent] {
    now = time
    linkWentDown(reason)
    endAll(reason: "link_lost")
    defer { out = [] }
    return out
  }

  mutating func vanish(_ id: String) {
    inferring { board in board.end(id, cause: 16, reason: "link_lost") }
  }

  private mutating func inferring(_ body: (inout Self) -> Void) {
    let before = isInferring
    isInferring = true
    body(&self)
    isInferring = before
  }

  // MARK: Snapshot

  mutating func snapshot(_ fact: Observation.Fact) {
    inferring { board in
      switch fact {
      case .snapshotChannel(let facts, let dialled, let application, let data, let bridge):
        board.list(facts, dialled, application, data, bridge)
      case .snapshotBridge(let bridge): board.bridges[bridge.id] = bridge
      case .snapshotQueued(let channel, let queue, let position):
        if let key = board.legs[channel]?.call { board.joined(key, queue, position) }
      case .snapshotParked(let facts, let parking): board.listParked(facts, parking)
      case .snapshotEnded: board.reconcile()
      default: break
      }
    }
  }

  private mutating func list(
    _ facts: ChannelFacts, _ dialled: String, _ application: String, _ data: String, _ bridge: String?
  ) {
    let isNew = legs[facts.id] == nil
    var facts = facts
    if isNew, Self.isDialable(dialled) { facts.exten = dialled }
    if isNew { born(listed: facts, application) } else { update(facts) }
    guard let leg = legs[facts.id] else { return }
    legs[facts.id]?.isListed = true
    legs[facts.id]?.generation = generation
    if leg.application == nil, !application.isEmpty {
      legs[facts.id]?.application = (application.asciiLowercased, data)
    }
    if Self.isDialable(dialled), leg.origin == .caller, leg.id == calls[leg.call]?.callerLeg,
      !(calls[leg.call]?.isTold ?? true)
    {
      let to = number(dialled)
      calls[leg.call]?.call.to = to
      if calls[leg.call]?.call.direction == .inbound { calls[leg.call]?.call.did = dialled }
    }
    legs[facts.id]?.bridge = bridge
    if let leg = legs[facts.id], leg.entryPlace.isEmpty { legs[facts.id]?.entryPlace = leg.place }
    if let bridge, bridges[bridge] == nil { bridges[bridge] = BridgeFacts(id: bridge, kind: .talk) }
  }

  /// A channel that was there before us: its application tells which side of the call it is on.
  private mutating func born(listed facts: ChannelFacts, _ application: String) {
    var birth = facts
    if ["AppDial", "AppQueue", "AppDial2"].contains(application), facts.state == .up { birth.state = .ringing }
    update(birth)
    guard birth.state != facts.state else { return }
    legs[facts.id]?.facts.state = .up
  }

  private mutating func listParked(_ facts: ChannelFacts, _ parking: ParkingFacts) {
    update(facts)
    guard let leg = legs[facts.id], calls[leg.call]?.parking == nil else { return }
    calls[leg.call]?.pendingPark = (facts.id, parking)
  }

  /// All lists are in: legs of before that are not listed are gone, then what stands is told.
  private mutating func reconcile() {
    for leg in legs.values.sorted(by: { ($0.call, $0.bornAt, $0.id) < ($1.call, $1.bornAt, $1.id) })
    where leg.generation < generation && !leg.isListed {
      end(leg.id, cause: 16, reason: "link_lost")
    }
    for key in calls.keys.sorted() { tellWhatStands(key) }
  }

  private mutating func tellWhatStands(_ key: Int) {
    for leg in liveLegs(of: key) where leg.facts.state == .ringing { rings(leg.id) }
    if calls[key]?.pendingPark != nil { startAsConnected(key) }
    for leg in liveLegs(of: key) {
      guard let bridge = leg.bridge.flatMap({ bridges[$0] }) else { continue }
      entered(leg.facts, bridge)
    }
    parkIfPending(key)
    for leg in liveLegs(of: key) { considerApplication(leg.id) }
  }

  /// A parked call was answered once; by whom, its connected line still says.
  private mutating func startAsConnected(_ key: Int) {
    guard let record = calls[key], !record.isStarted, let leg = record.pendingPark.flatMap({ legs[$0.leg] }) else {
      return
    }
    let other = leg.facts.connectedNumber
    let party = other.isEmpty ? nil : party(dialled: other)
    calls[key]?.call.answeredBy = party
    calls[key]?.timesAreUnknown = true
    calls[key]?.isStarted = true
    calls[key]?.hasRung = true
    emit(key, .ring)
    emit(key, .started)
  }

  // MARK: Memory

  /// Takes back the calls that the journal says are open, with how many events were told of each.
  /// - Parameter lastSeen: when the PBX was last heard of: what came between then and the next link may be missing.
  package mutating func restore(_ open: [(call: Call, told: Int)], lastSeen: Timestamp? = nil) {
    linkLostAt = lastSeen
    for (call, told) in open {
      lastCallKey += 1
      let group = call.externalIDs["linkedid"] ?? call.id.description
      var record = CallRecord(key: lastCallKey, nativeKey: group, call: call)
      record.ordinal = told
      record.hasRung = call.state != .dialing
      record.isStarted = call.answeredBy != nil
      record.services = call.legs.filter { $0.role == .service }
      record.isBridgeHeld = call.state == .held && !call.legs.contains(where: \.isHolding)
      record.parking = call.externalIDs["parking_slot"].map { (call.legs.first?.id ?? "", $0) }
      record.queue = call.state == .queued ? call.queue.map { ($0, call.startedAt) } : nil
      record.firstRingAt = call.legs.compactMap(\.ringingAt).min()
      record.callerLeg = call.legs.first { $0.role == .caller }?.id
      for leg in call.legs where leg.role != .service { restore(leg, group, into: &record) }
      groups[group] = record.key
      calls[record.key] = record
      epoch = call.externalIDs["epoch"] ?? epoch
    }
  }

  private mutating func restore(_ leg: Leg, _ group: String, into record: inout CallRecord) {
    let state: ChannelFacts.State =
      switch leg.state {
      case .dialing: leg.role == .caller ? .ring : .down
      case .ringing: .ringing
      case .answered, .ended: .up
      }
    let facts = ChannelFacts(
      id: leg.id, group: group, name: leg.channel, state: state, number: leg.party.id, callerName: leg.number.name ?? ""
    )
    var known = LegRecord(
      id: leg.id, birth: facts, bornAt: record.call.startedAt, facts: facts, call: record.key,
      origin: leg.role == .caller || leg.role == .retriever ? .caller : .called, role: leg.role, generation: generation)
    (known.ringingAt, known.connectedAt, known.endedAt) = (leg.ringingAt, leg.answeredAt, leg.endedAt)
    known.upAt = leg.answeredAt
    known.wasToldRinging = leg.ringingAt != nil
    known.wasToldAnswered = leg.answeredAt != nil && leg.role != .caller
    known.isHolding = leg.isHolding
    known.endReason = leg.reason
    legs[leg.id] = known
    record.legIDs.append(leg.id)
  }
}
