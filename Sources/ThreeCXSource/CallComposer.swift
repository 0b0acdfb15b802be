// From participants to channels: a 3CX shows one part for every DN that may be seen and nothing of lines and of others.
// What a call must look like for these parts to be there is worked out anew at every change and told as the difference,
// so a frame that was lost, doubled or late costs nothing once the floor is right again.
//
//   floor (participants) ─▶ conversation (channels, queue, who called) ─▶ observations

package import Basics
package import CallModel

package struct CallComposer: Sendable {
  private var parts: [Participant.Key: Participant] = [:]
  private var conversations: [Int: Conversation] = [:]
  private var kinds: [String: PartyKind] = [:]
  private(set) var epoch: String
  private var highestCall = 0
  private var out: [Observation] = []
  private var now = Timestamp(microseconds: 0)
  private var moment = Moment(nanoseconds: 0)
  private var isInferring = false
  /// How often a participant's channel was told to end while its call goes on.
  private var ended: [Participant.Key: (count: Int, call: Int)] = [:]
  /// Who was called by somebody who may be seen and was not yet: since when.
  private var postponed: [Participant.Key: Moment] = [:]

  /// Why somebody left while the caller is still there shows a little later: an answer elsewhere, a transfer.
  static let patience: Duration = .milliseconds(250)
  /// An outside caller whom nobody is rung for may be on the way to somebody else.
  static let linePatience: Duration = .milliseconds(2200)
  /// Between the agents that a queue tries one after the other, where the queue itself may not be seen.
  static let wavePatience: Duration = .seconds(8)

  /// - Parameter epoch: names the PBX's run, whose ids begin again with the next.
  package init(epoch: String) { self.epoch = epoch }

  /// Nobody is on the line.
  package var isEmpty: Bool { conversations.isEmpty && parts.isEmpty }

  /// The normaliser's names for a call and for a participant.
  func group(_ callID: Int) -> String { "\(epoch)/\(callID)" }
  func channel(_ key: Participant.Key) -> String { "\(epoch)/\(key.dn)/\(key.id)" }

  // MARK: Inputs

  package mutating func changed(_ part: Participant, time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    take(part)
    return takeOut()
  }

  package mutating func gone(_ key: Participant.Key, time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    remove(key)
    return takeOut()
  }

  /// All there is; what differs was not seen to happen.
  /// - Parameters:
  ///   - kinds: what each DN is.
  ///   - isFirst: on a new connection: what the normaliser remembers and is not listed is gone.
  package mutating func floor(
    _ all: [Participant], kinds: [String: PartyKind], isFirst: Bool, time: Timestamp, at moment: Moment
  ) -> [Observation] {
    begin(time, moment)
    self.kinds = kinds
    if isFirst { noticeRestart(all) }
    tell(.inferring(true))
    isInferring = true
    // Who came is taken first: a call whose people all changed unseen is still one call.
    // All are known before the first is composed: who called whom shows in both.
    let fresh = all.filter { parts[$0.key] == nil }
    for part in fresh {
      parts[part.key] = part
      highestCall = max(highestCall, part.callID)
    }
    for part in fresh { compose(part) }
    for part in all { take(part) }
    composePostponed(after: .zero)
    let present = Set(all.map(\.key))
    for key in parts.keys.sorted() where !present.contains(key) { remove(key) }
    settle(all: isFirst)
    if isFirst { listAll() }
    isInferring = false
    tell(.inferring(false))
    if out.count == 2 { out = [] }
    return takeOut()
  }

  /// Tells what has waited long enough. Called a few times a second.
  package mutating func tick(time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    settle(all: false)
    return takeOut()
  }

  private mutating func begin(_ time: Timestamp, _ moment: Moment) { (now, self.moment) = (time, moment) }

  private mutating func takeOut() -> [Observation] {
    defer { out = [] }
    return out
  }

  private mutating func tell(_ fact: Observation.Fact, at time: Timestamp? = nil) {
    out.append(Observation(at: time ?? now, fact))
  }

  // MARK: The link

  /// Ids that begin again below those that were, with nobody of before among them: the PBX restarted.
  private mutating func noticeRestart(_ all: [Participant]) {
    let isKnown = all.contains { parts[$0.key]?.callID == $0.callID }
    guard !parts.isEmpty || highestCall > 0, !isKnown, let highest = all.map(\.callID).max(), highest < highestCall
    else { return }
    epoch = String(now.milliseconds)
    (parts, conversations, highestCall) = ([:], [:], 0)
    tell(.epoch(epoch))
  }

  private mutating func listAll() {
    for id in conversations.keys.sorted() {
      guard let conversation = conversations[id] else { continue }
      for channel in conversation.channels where channel.goneAt == nil {
        tell(
          .snapshotChannel(
            channel.facts, dialled: "", application: "", data: "",
            bridge: channel.isBridged ? conversation.bridge.id : nil))
      }
    }
    tell(.snapshotEnded)
  }

  // MARK: Parts

  private mutating func take(_ part: Participant) {
    let before = parts.updateValue(part, forKey: part.key)
    highestCall = max(highestCall, part.callID)
    if let before, before != part {
      if isAnother(part, before) {
        parts[part.key] = before
        remove(part.key, isCertain: true)
        parts[part.key] = part
      } else if before.callID != part.callID {
        move(part.key, from: before.callID, to: part)
      }
    } else if before == part {
      return
    }
    compose(part)
  }

  /// The same id, and a call that has nothing to do with the former: the id was given out again unseen.
  private func isAnother(_ part: Participant, _ before: Participant) -> Bool {
    // One that named no call at first has found its own.
    before.callID >= 0 && part.callID != before.callID && (part.status != .connected || before.status != .connected)
  }

  private mutating func remove(_ key: Participant.Key, isCertain: Bool = false) {
    guard let part = parts.removeValue(forKey: key), var conversation = conversations[part.callID] else { return }
    guard let index = conversation.index(of: key) else {
      conversations[part.callID] = conversation
      return serviceGone(part)
    }
    conversation.channels[index].goneAt = now
    conversation.channels[index].goneMoment = moment
    conversations[part.callID] = conversation
    resolve(part.callID, isCertain: isCertain)
  }

  /// A queue or a menu let the caller go.
  private mutating func serviceGone(_ part: Participant) { resolve(part.callID) }

  // MARK: Composing

  private mutating func conversation(_ id: Int) -> Conversation {
    conversations[id] ?? Conversation(id: id, group: group(id))
  }

  private mutating func compose(_ part: Participant) {
    var call = conversation(part.callID)
    if isService(part) {
      serve(part, &call)
    } else if role(of: part, in: call) == .caller {
      composeCaller(part, &call)
    } else if isPostponed(part, call) {
      return
    } else {
      composeCallee(part, &call)
    }
    conversations[part.callID] = call
    resolve(part.callID)
    for key in postponed.keys.sorted() {
      if let other = parts[key], other.callID == part.callID, other.partyDN == part.key.dn {
        postponed[key] = nil
        compose(other)
      }
    }
  }

  /// The caller's own part is on its way: a quarter of a second is given to it.
  private mutating func isPostponed(_ part: Participant, _ call: Conversation) -> Bool {
    guard !isInferring, part.partyKind == .person, kinds[part.partyDN] == .person, call.index(of: part.key) == nil,
      !call.everybody.contains(where: { $0.dn == part.partyDN }), call.caller == nil
    else { return false }
    if let since = postponed[part.key] { return moment - since < Self.patience }
    postponed[part.key] = moment
    return true
  }

  private mutating func composePostponed(after patience: Duration) {
    for (key, since) in postponed.sorted(by: { $0.key < $1.key }) where moment - since >= patience {
      guard let part = parts[key] else {
        postponed[key] = nil
        continue
      }
      compose(part)
      postponed[key] = nil
    }
  }

  private func isService(_ part: Participant) -> Bool {
    switch kinds[part.key.dn] ?? .unknown {
    case .queue, .ivr, .ringGroup, .parking, .conference, .voicemail, .specialMenu: true
    case .person, .line, .routePoint, .unknown: false
    }
  }

  private func role(of part: Participant, in call: Conversation) -> Conversation.Channel.Role {
    if let index = call.index(of: part.key) { return call.channels[index].role }
    switch part.status {
    case .dialing: return .caller
    case .ringing: return .callee
    case .connected: break
    }
    switch part.partyKind {
    case .queue, .ivr, .voicemail, .conference, .specialMenu, .parking, .ringGroup: return .caller
    case .line where part.originatedBy == part.key.dn: return .caller
    case .line: return .callee
    case .person, .routePoint, .unknown:
      let other = parts.values.first { $0.callID == part.callID && $0.key.dn == part.partyDN }
      if let other, other.status == .ringing { return .caller }
      if let other, other.status == .dialing { return .callee }
      if let known = call.channels.first(where: { $0.key?.dn == part.partyDN }) {
        return known.role == .caller ? .callee : .caller
      }
      return other.map { part.key < $0.key ? .caller : .callee } ?? .callee
    }
  }

  // MARK: Who called

  private mutating func composeCaller(_ part: Participant, _ call: inout Conversation) {
    let isLine = part.partyKind == .line
    let target = isLine && !part.partyNumber.isEmpty ? part.partyNumber : part.partyDN
    let index = ensure(part.key, .caller, &call) { facts in
      facts.state = .ring
      facts.exten = target
    }
    if part.status == .connected { bringUp(index, &call) }
    switch part.partyKind {
    case .queue: queue(part.partyDN, index, &call)
    case .voicemail, .ivr, .conference, .specialMenu, .parking:
      if part.status == .connected { serveCaller(part, index, &call) }
    case .line, .person, .unknown, .routePoint, .ringGroup:
      guard !target.isEmpty, call.service == nil else { return }
      let isSeen = parts.values.contains { $0.callID == part.callID && $0.key.dn == part.partyDN && $0.key != part.key }
      if isSeen || kinds[part.partyDN] == .person { return connectIfBothUp(&call) }
      let name = isLine ? "trunk.\(part.partyDN)" : part.partyDN
      if call.index(ofLine: "\(name)/\(target)") == nil {
        // The caller speaks of somebody else now.
        takeOut(
          call.channels.filter { $0.role == .callee && $0.key == nil }.map { ($0, $0.isUp ? "ANSWER" : "CANCEL", 16) },
          of: &call)
      }
      let index = call.index(of: part.key) ?? index
      let line = ensureLine(name, target, .callee, &call)
      dial(line, from: index, isLine ? "\(target)@trunk.\(part.partyDN)" : target, &call)
      ring(line, &call)
      if part.status == .connected {
        bringUp(line, &call)
        connectIfBothUp(&call)
      }
    }
  }

  /// Whoever is beyond the PBX, or at an extension that may not be seen, and called this participant.
  private mutating func callerLine(of part: Participant, _ call: inout Conversation) -> Int? {
    if let seen = call.channels.firstIndex(where: { $0.key?.dn == part.partyDN && $0.role == .caller }) { return seen }
    if part.partyKind == .person, kinds[part.partyDN] == .person, let caller = call.caller { return caller }
    if part.partyDN.isEmpty, part.partyNumber.isEmpty { return call.caller }
    let isLine = part.partyKind == .line
    if !isLine, part.partyKind != .person, let caller = call.caller { return caller }
    // Behind a queue, a menu or a route point the number says who it is.
    let isNumbered = part.partyKind != .person && part.partyKind != .unknown && !part.partyNumber.isEmpty
    let number = isLine || isNumbered ? part.partyNumber : part.partyDN
    let name = isLine ? "trunk.\(part.partyDN)" : isNumbered ? part.partyNumber : part.partyDN
    if let known = call.index(ofLine: "\(name)/\(number)") { return known }
    adopt("\(name)/\(number)", of: part, &call)
    return ensureLine(name, number, .caller, &call, exten: part.did, callerName: part.partyName)
  }

  // MARK: Who was called

  private mutating func composeCallee(_ part: Participant, _ call: inout Conversation) {
    if call.index(of: part.key) == nil {
      let from = callerLine(of: part, &call)
      announce(part, from, &call)
    }
    let caller = callerLine(of: part, &call)
    let isNew = call.index(of: part.key) == nil
    let index = ensure(part.key, .callee, &call) { $0.state = .down }
    if isNew {
      leaveIfOverflown(part, caller, &call)
      let agentOf = queueOf(part) ?? (call.wasDequeued ? nil : call.queue)
      if let agentOf, let caller {
        queue(agentOf, caller, &call)
        call.channels[index].isForAgent = true
      }
      dial(index, from: caller, part.key.dn, &call)
      if call.channels[index].isForAgent, let caller {
        tell(
          .agentCalled(caller: call.channels[caller].facts, agent: call.channels[index].facts, queue: call.queue ?? ""))
      }
      ring(index, &call)
    }
    guard part.status == .connected else { return }
    bringUp(index, &call)
    if let caller, call.channels[caller].key == nil { bringUp(caller, &call) }
    connectIfBothUp(&call)
  }

  /// The queue let the caller go to somebody who does not ring for it.
  private mutating func leaveIfOverflown(_ part: Participant, _ caller: Int?, _ call: inout Conversation) {
    guard let queue = call.queue, let caller, !call.wasDequeued, call.isQueueSeen, queueOf(part) == nil,
      !parts.values.contains(where: { $0.callID == call.id && kinds[$0.key.dn] == .queue })
    else { return }
    call.wasDequeued = true
    tell(.queueLeft(call.channels[caller].facts, queue: queue))
  }

  /// A queue that this telephone rings for, where the participant names it.
  private func queueOf(_ part: Participant) -> String? {
    if part.onBehalfOfKind == .queue { return part.onBehalfOf }
    if part.originatedByKind == .queue { return part.originatedBy }
    if part.referredByKind == .queue { return part.referredBy }
    return part.partyKind == .queue ? part.partyDN : nil
  }

  /// Says why this telephone is tried, where another one was before.
  private mutating func announce(_ part: Participant, _ caller: Int?, _ call: inout Conversation) {
    if part.onBehalfOfKind == .person, part.onBehalfOf != part.key.dn,
      let index = call.channels.lastIndex(where: { $0.key?.dn == part.onBehalfOf && $0.role == .callee && !$0.isUp }),
      call.forwarded.insert("\(part.onBehalfOf)>\(part.key.dn)").inserted
    {
      let from = caller.map { call.channels[$0].facts }
      tell(.dialEnded(from: from, to: call.channels[index].facts, status: "FORWARDED", forward: part.key.dn))
    }
    if caller != nil, part.onBehalfOfKind == .person, part.onBehalfOf != part.key.dn,
      !call.everybody.contains(where: { $0.dn == part.onBehalfOf }),
      call.forwarded.insert("\(part.onBehalfOf)>\(part.key.dn)").inserted
    {
      forwardedUnseen(part, caller, call)
    }
    if part.referredByKind == .person, part.referredBy != part.key.dn,
      let index = call.channels.lastIndex(where: { $0.key?.dn == part.referredBy && $0.isBridged }),
      call.forwarded.insert("\(part.referredBy)>>\(part.key.dn)").inserted
    {
      let other = call.channels.first { $0.isBridged && $0.key != call.channels[index].key && $0.goneAt == nil }
      tell(
        .blindTransfer(
          from: call.channels[index].facts, transferee: other?.facts, to: part.key.dn, succeeded: true))
      if let caller, call.channels[caller].goneAt == nil, call.channels[caller].isBridged {
        tell(.bridgeLeft(call.channels[caller].facts, call.bridge))
        call.channels[caller].isBridged = false
      }
      let referrer = call.channels[index]
      if referrer.goneAt != nil { takeOut([(referrer, "ANSWER", 16)], of: &call) }
    }
  }

  /// Forwarded by a telephone that never rang, so that it never was a participant.
  private mutating func forwardedUnseen(_ part: Participant, _ caller: Int?, _ call: Conversation) {
    let facts = ChannelFacts(
      id: "\(call.group)/\(part.onBehalfOf)/forward", group: call.group, name: "3CX/\(part.onBehalfOf)-0",
      number: part.onBehalfOf)
    let from = caller.map { call.channels[$0].facts }
    tell(.dialBegan(from: from, to: facts, dialled: part.onBehalfOf))
    tell(.dialEnded(from: from, to: facts, status: "FORWARDED", forward: part.key.dn))
    tell(.hungUp(facts, cause: 16))
  }

  // MARK: Services

  private mutating func serve(_ part: Participant, _ call: inout Conversation) {
    guard let caller = callerLine(of: part, &call) else { return }
    switch kinds[part.key.dn] ?? .unknown {
    case .queue:
      call.isQueueSeen = true
      queue(part.key.dn, caller, &call)
    case .voicemail, .ivr, .conference, .specialMenu:
      guard part.status == .connected else { return }
      bringUp(caller, &call)
      run(kinds[part.key.dn] ?? .unknown, part.key.dn, caller, &call)
    default: break
    }
  }

  private mutating func serveCaller(_ part: Participant, _ index: Int, _ call: inout Conversation) {
    let lastRung = call.channels.last { $0.role == .callee }?.key?.dn
    let mailbox = part.onBehalfOfKind == .person ? part.onBehalfOf : lastRung
    let id = part.partyKind == .voicemail || mailbox != nil ? mailbox ?? part.partyDN : part.partyDN
    run(part.partyKind == .specialMenu && mailbox != nil ? .voicemail : part.partyKind, id, index, &call)
  }

  /// A machine has the caller. Those who were rung before it are done with.
  private mutating func run(_ kind: PartyKind, _ id: String, _ index: Int, _ call: inout Conversation) {
    guard call.service != id else { return }
    call.service = id
    let rung = call.channels.filter { $0.role == .callee && !$0.isUp }
    call.channels.removeAll { $0.role == .callee && !$0.isUp }
    guard let caller = call.caller else { return }
    for other in rung {
      tell(.dialEnded(from: call.channels[caller].facts, to: other.facts, status: "NOANSWER", forward: nil))
    }
    let (name, data): (String, String) =
      switch kind {
      case .voicemail: ("VoiceMail", id)
      case .conference: ("ConfBridge", id)
      case .ivr: ("Background", id)
      default: ("VoiceMailMain", id)
      }
    var facts = call.channels[caller].facts
    facts.exten = id
    tell(.applicationFound(facts, name: name, data: data))
    for other in rung {
      tell(.hungUp(other.facts, cause: 19), at: other.goneAt)
      noteEnd(of: other, in: call)
    }
  }

  private mutating func queue(_ name: String, _ caller: Int, _ call: inout Conversation) {
    guard !call.wasDequeued || call.queue != name, call.queue != name, !name.isEmpty else { return }
    if let former = call.queue, !call.wasDequeued { tell(.queueLeft(call.channels[caller].facts, queue: former)) }
    (call.queue, call.wasDequeued) = (name, false)
    if !call.channels[caller].isUp { bringUp(caller, &call) }
    tell(.queueJoined(call.channels[caller].facts, queue: name, position: nil))
    // Who rings already rings for it.
    for index in call.channels.indices where call.channels[index].role == .callee && !call.channels[index].isUp {
      call.channels[index].isForAgent = true
      tell(
        .agentCalled(caller: call.channels[caller].facts, agent: call.channels[index].facts, queue: name))
    }
  }

  // MARK: Channels

  private mutating func ensure(
    _ key: Participant.Key, _ role: Conversation.Channel.Role, _ call: inout Conversation,
    _ fill: (inout ChannelFacts) -> Void
  ) -> Int {
    if let known = call.index(of: key) {
      if call.channels[known].goneAt != nil {
        (call.channels[known].goneAt, call.channels[known].goneMoment) = (nil, nil)
      }
      return known
    }
    let again = ended[key].map { "~\($0.count)" } ?? ""
    var facts = ChannelFacts(
      id: channel(key) + again, group: call.group, name: "3CX/\(key.dn)-\(key.id)", number: key.dn)
    fill(&facts)
    call.channels.append(Conversation.Channel(facts: facts, role: role, key: key))
    if role == .caller { tell(.channel(facts)) }
    return call.channels.count - 1
  }

  private mutating func ensureLine(
    _ name: String, _ number: String, _ role: Conversation.Channel.Role, _ call: inout Conversation, exten: String = "",
    callerName: String = ""
  ) -> Int {
    if let known = call.index(ofLine: "\(name)/\(number)") {
      (call.channels[known].goneAt, call.channels[known].goneMoment) = (nil, nil)
      return known
    }
    var facts = ChannelFacts(
      id: "\(call.group)/\(name)/\(number)", group: call.group, name: "3CX/\(name)-\(call.id)",
      number: number, callerName: callerName)
    (facts.state, facts.exten) = (role == .caller ? .ring : .down, exten)
    call.channels.append(Conversation.Channel(facts: facts, role: role, key: nil))
    if role == .caller { tell(.channel(facts)) }
    return call.channels.count - 1
  }

  private mutating func dial(_ index: Int, from caller: Int?, _ dialled: String, _ call: inout Conversation) {
    guard call.channels[index].dialled.isEmpty else { return }
    call.channels[index].dialled = dialled
    tell(.dialBegan(from: caller.map { call.channels[$0].facts }, to: call.channels[index].facts, dialled: dialled))
  }

  private mutating func ring(_ index: Int, _ call: inout Conversation) {
    guard call.channels[index].facts.state == .down else { return }
    call.channels[index].facts.state = .ringing
    tell(.channel(call.channels[index].facts))
  }

  private mutating func bringUp(_ index: Int, _ call: inout Conversation) {
    guard !call.channels[index].isUp else { return }
    call.channels[index].facts.state = .up
    tell(.channel(call.channels[index].facts))
  }

  /// Both sides of a talk are there: they are bridged, and a queue that brought them together is left.
  private mutating func connectIfBothUp(_ call: inout Conversation) {
    guard let caller = call.caller, call.channels[caller].goneAt == nil, let callee = call.talking.last else { return }
    bringUp(caller, &call)
    if let name = call.queue, !call.wasDequeued {
      call.wasDequeued = true
      tell(
        .agentConnected(
          caller: call.channels[caller].facts, agent: call.channels[callee].facts, queue: name, waitSeconds: nil))
      endOtherAgents(&call)
    }
    // Indices are taken anew: others may have left the list.
    for index in [call.caller].compactMap(\.self) + call.talking where !call.channels[index].isBridged {
      call.channels[index].isBridged = true
      tell(.bridgeEntered(call.channels[index].facts, call.bridge))
    }
  }

  /// One has answered; the others' telephones stop, whether or not that was told already.
  private mutating func endOtherAgents(_ call: inout Conversation) {
    takeOut(call.channels.filter { $0.isForAgent && !$0.isUp }.map { ($0, "CANCEL", 26) }, of: &call)
  }

  // MARK: Endings

  /// Tells of those that are gone as far as it is known why.
  private mutating func resolve(_ id: Int, isCertain: Bool = false, isForced: Bool = false) {
    guard var call = conversations[id] else { return }
    let isAnswered = call.channels.contains { $0.role == .callee && $0.isUp && $0.goneAt == nil }
    let callers = call.channels.filter { $0.role == .caller }
    // Between two agents of a queue that may not be seen, nobody is there, and the caller is.
    let isWave = call.queue != nil && !call.wasDequeued && !call.isQueueSeen
    let isCallerGone = callers.allSatisfy { $0.goneAt != nil && !(isWave && $0.key == nil) }
    let isForced = isForced || isCertain || isInferring
    abandonIfLeft(&call)
    let called = call.channels.compactMap { channel -> Leaving? in
      guard let since = channel.goneMoment, channel.role == .callee else { return nil }
      let hasWaited = moment - since >= Self.patience
      guard isAnswered || isCallerGone || hasWaited || isForced else { return nil }
      return reason(channel, isAnswered, isCallerGone)
    }
    takeOut(called, of: &call)
    endCallers(&call, isForced: isForced)
    conversations[id] = call.channels.isEmpty ? nil : call
  }

  /// A queue whose participant was seen and is gone, with nobody left: the caller gave up before the agents stopped.
  private mutating func abandonIfLeft(_ call: inout Conversation) {
    guard let queue = call.queue, !call.wasDequeued, call.isQueueSeen, let caller = call.caller else { return }
    let isServed = parts.values.contains {
      $0.callID == call.id && ($0.status == .connected || kinds[$0.key.dn] == .queue)
    }
    guard !isServed else {
      call.unservedSince = nil
      return
    }
    let since = call.unservedSince ?? moment
    call.unservedSince = since
    // Gone with the agents who rang, he gave up; gone alone, he may be on the way to somebody else.
    let isEmpty = !parts.values.contains { $0.callID == call.id }
    let wasRung = call.channels.contains { $0.isForAgent }
    let patience = isInferring || isEmpty && wasRung ? .zero : Self.linePatience
    guard moment - since >= patience else { return }
    call.wasDequeued = true
    tell(.queueAbandoned(call.channels[caller].facts, queue: queue, waitSeconds: nil))
  }

  private func reason(_ channel: Conversation.Channel, _ isAnswered: Bool, _ isCallerGone: Bool) -> Leaving {
    if channel.isUp { return (channel, "ANSWER", 16) }
    if isAnswered { return (channel, "CANCEL", 26) }
    return isCallerGone ? (channel, "CANCEL", 16) : (channel, "NOANSWER", 19)
  }

  /// Lines that only others spoke of go with them; an outside caller is given time to arrive elsewhere.
  private mutating func endCallers(_ call: inout Conversation, isForced: Bool) {
    let hasParts = parts.values.contains { $0.callID == call.id }
    for index in call.channels.indices where call.channels[index].key == nil && call.channels[index].goneAt == nil {
      let isOrphan =
        call.channels[index].role == .caller
        ? !hasParts
        : !call.channels.contains { $0.role == .caller && $0.goneAt == nil }
      if isOrphan { (call.channels[index].goneAt, call.channels[index].goneMoment) = (now, moment) }
    }
    let leaving = call.channels.compactMap { channel -> Leaving? in
      guard let since = channel.goneMoment, channel.role == .caller || channel.key == nil else { return nil }
      let isLine = channel.key == nil && channel.role == .caller
      let patience = call.queue != nil && !call.wasDequeued && !call.isQueueSeen ? Self.wavePatience : Self.linePatience
      if isLine, !isForced, moment - since < patience { return nil }
      return isLine && hasParts ? nil : (channel, channel.isUp ? "ANSWER" : "CANCEL", 16)
    }
    takeOut(leaving, of: &call)
    guard hasParts else { return }
    // The outside caller is with somebody again.
    for index in call.channels.indices where call.channels[index].key == nil && call.channels[index].role == .caller {
      (call.channels[index].goneAt, call.channels[index].goneMoment) = (nil, nil)
    }
  }

  /// A channel that ends, with the dial status and the cause (Q.850) that say why.
  private typealias Leaving = (channel: Conversation.Channel, status: String, cause: Int)

  /// Ends them in the order of their appearance.
  private mutating func takeOut(_ leaving: [Leaving], of call: inout Conversation) {
    for (channel, status, cause) in leaving {
      end(channel, because: status, cause, &call)
      noteEnd(of: channel, in: call)
      call.channels.removeAll { $0.facts.id == channel.facts.id }
      call.remember(channel)
    }
  }

  private mutating func end(
    _ channel: Conversation.Channel, because status: String, _ cause: Int, _ call: inout Conversation
  ) {
    let time = channel.goneAt ?? now
    if isInferring, channel.goneAt == now { return tell(.vanished(id: channel.facts.id), at: time) }
    if channel.role == .caller, let queue = call.queue, !call.wasDequeued,
      !parts.values.contains(where: { $0.callID == call.id })
    {
      call.wasDequeued = true
      tell(.queueAbandoned(channel.facts, queue: queue, waitSeconds: nil), at: time)
    }
    if channel.role == .callee, !channel.isUp {
      let caller = call.caller.map { call.channels[$0].facts }
      if channel.isForAgent, status == "NOANSWER", let caller {
        tell(.agentRingNoAnswer(caller: caller, agent: channel.facts, queue: call.queue ?? ""), at: time)
      }
      tell(.dialEnded(from: caller, to: channel.facts, status: status, forward: nil), at: time)
    }
    tell(.hungUp(channel.facts, cause: cause), at: time)
  }

  /// A channel that was told to end comes back under another name, should its participant show again.
  private mutating func noteEnd(of channel: Conversation.Channel, in call: Conversation) {
    if let key = channel.key { ended[key] = ((ended[key]?.count ?? 0) + 1, call.id) }
  }

  private mutating func settle(all isForced: Bool) {
    composePostponed(after: Self.patience)
    if !ended.isEmpty { ended = ended.filter { conversations[$0.value.call] != nil } }
    for id in conversations.keys.sorted() where isForced || conversations[id]?.isUnsettled == true {
      resolve(id, isForced: isForced)
    }
  }

  // MARK: Moves

  /// A participant is counted to another call now: an attended transfer joined the two.
  private mutating func move(_ key: Participant.Key, from old: Int, to part: Participant) {
    guard var former = conversations[old], let index = former.index(of: key) else { return }
    var call = conversation(part.callID)
    var channel = former.channels.remove(at: index)
    let moved = channel.facts
    channel.facts.group = call.group
    channel.isBridged = false
    tell(.channel(channel.facts))
    if channel.role == .caller {
      // The caller joins the one who was asked.
      let asked = call.channels.last { $0.role == .callee && $0.goneAt == nil }
      handOver(from: call, to: former, moved, asked?.facts)
    } else {
      let transferee = call.channels.first { $0.role == .caller && $0.goneAt == nil || $0.key == nil }
      handOver(from: former, to: call, transferee?.facts, moved)
    }
    call.channels.append(channel)
    conversations[old] = former.channels.isEmpty ? nil : former
    conversations[part.callID] = call
    resolve(old)
  }

  /// Whoever took part in both calls handed one over to the other.
  private mutating func handOver(
    from consultation: Conversation, to call: Conversation, _ transferee: ChannelFacts?, _ target: ChannelFacts?
  ) {
    // Where both parties went to a third call, he was in a call that is neither.
    let others = [call] + conversations.values.filter { $0.id != consultation.id }.sorted { $0.id < $1.id }
    guard
      let (first, second) = others.lazy.compactMap({ other in
        consultation.everybody.last { one in other.everybody.contains { $0.dn == one.dn } }.flatMap { second in
          other.everybody.last { $0.dn == second.dn }.map { ($0, second) }
        }
      }).first, second.facts.id != target?.id, first.facts.id != transferee?.id
    else { return }
    tell(
      .attendedTransfer(
        first: first.facts, second: second.facts, transferee: transferee, target: target, succeeded: true))
  }

  /// The line was spoken of in another call by somebody who is in this one too: he handed it over.
  private mutating func adopt(_ line: String, of part: Participant, _ call: inout Conversation) {
    for other in conversations.values.sorted(by: { $0.id < $1.id }) where other.id != call.id {
      let referrer =
        part.referredByKind == .person ? other.channels.last { $0.key?.dn == part.referredBy && $0.isBridged } : nil
      guard let index = other.index(ofLine: line),
        referrer != nil || other.everybody.contains(where: { one in call.everybody.contains { $0.dn == one.dn } })
      else { continue }
      if let referrer {
        let transferee = other.channels[index].facts
        tell(.blindTransfer(from: referrer.facts, transferee: transferee, to: part.key.dn, succeeded: true))
      }
      var former = other
      var channel = former.channels.remove(at: index)
      channel.facts.group = call.group
      (channel.goneAt, channel.goneMoment, channel.isBridged) = (nil, nil, false)
      tell(.channel(channel.facts))
      if referrer == nil {
        handOver(from: call, to: other, channel.facts, call.index(of: part.key).map { call.channels[$0].facts })
      }
      call.channels.append(channel)
      conversations[other.id] = former.channels.isEmpty ? nil : former
      return
    }
  }
}
