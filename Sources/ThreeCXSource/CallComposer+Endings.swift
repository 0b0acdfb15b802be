// How those who are gone are told: once it shows why, or that nothing follows.

internal import Basics
internal import CallModel

extension CallComposer {
  /// Tells of those that are gone as far as it is known why.
  mutating func resolve(_ id: Int, isCertain: Bool = false) {
    guard var call = conversations[id] else { return }
    loseMoved(&call)
    loseLines(&call)
    abandonIfLeft(&call)
    endCalled(&call, isForced: isCertain)
    endCallers(&call, isForced: isCertain)
    conversations[id] = call.channels.isEmpty ? nil : call
  }

  private mutating func endCalled(_ call: inout Conversation, isForced: Bool) {
    let isAnswered = call.channels.contains { $0.role == .callee && $0.isUp && $0.goneAt == nil }
    let callers = call.channels.filter { $0.role == .caller }
    let isCallerGone = callers.allSatisfy { $0.goneAt != nil && !(isWave(call) && $0.key == nil) }
    // An outside caller may yet arrive elsewhere: until then nobody's end has a reason.
    let isOnTheWay = !isWave(call) && callers.contains { isWaitedFor($0, in: call) }
    let called = call.channels.compactMap { channel -> Leaving? in
      guard let since = channel.goneMoment, channel.role == .callee else { return nil }
      let isClear = (isCallerGone || moment - since >= Self.patience) && !isOnTheWay
      return isAnswered || isForced || isClear ? reason(channel, isAnswered, isCallerGone) : nil
    }
    takeOut(called, of: &call)
  }

  /// Between two agents of a queue that may not be seen, nobody is there, and the caller is.
  func isWave(_ call: Conversation) -> Bool { call.queue != nil && !call.wasDequeued && !call.isQueueSeen }

  /// A line that nobody speaks of any more, and not for long.
  private func isWaitedFor(_ channel: Conversation.Channel, in call: Conversation) -> Bool {
    guard channel.key == nil, channel.role == .caller, let since = channel.goneMoment else { return false }
    let isWave = isWave(call)
    let last = isWave ? call.confirmedAt.map { max($0, since) } ?? since : since
    return moment - last < (isWave ? Self.wavePatience : Self.linePatience)
  }

  /// A queue whose participant was seen and is gone, with nobody left: the caller gave up before the agents stopped.
  mutating func abandonIfLeft(_ call: inout Conversation) {
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
    let patience = isEmpty && wasRung ? .zero : Self.linePatience
    guard moment - since >= patience else { return }
    call.wasDequeued = true
    tell(.queueAbandoned(call.channels[caller].facts, queue: queue, waitSeconds: nil))
  }

  func reason(_ channel: Conversation.Channel, _ isAnswered: Bool, _ isCallerGone: Bool) -> Leaving {
    if channel.isUp { return (channel, "ANSWER", 16) }
    if isAnswered { return (channel, "CANCEL", 26) }
    return isCallerGone ? (channel, "CANCEL", 16) : (channel, "NOANSWER", 19)
  }

  /// Whoever is counted to another call, or to none, has left this one.
  private mutating func loseMoved(_ call: inout Conversation) {
    for index in call.channels.indices where call.channels[index].goneAt == nil {
      guard let key = call.channels[index].key, parts[key]?.callID != call.id else { continue }
      call.channels[index].goes(at: now, moment, isUnseen: isInferring)
    }
  }

  /// Lines that only others spoke of go with them.
  private mutating func loseLines(_ call: inout Conversation) {
    let hasParts = parts.values.contains { $0.callID == call.id }
    let hasCaller = call.channels.contains { $0.role == .caller && $0.goneAt == nil }
    for index in call.channels.indices where call.channels[index].key == nil {
      let isCaller = call.channels[index].role == .caller
      if isCaller ? !hasParts : !hasCaller {
        if call.channels[index].goneAt == nil { call.channels[index].goes(at: now, moment, isUnseen: isInferring) }
      } else if isCaller {
        // The outside caller is with somebody again.
        call.channels[index].returns()
        call.timesMissing = 0
      }
    }
  }

  /// An outside caller is given time to arrive elsewhere.
  private mutating func endCallers(_ call: inout Conversation, isForced: Bool) {
    let leaving = call.channels.compactMap { channel -> Leaving? in
      guard channel.goneAt != nil, channel.role == .caller || channel.key == nil else { return nil }
      if !isForced, isWaitedFor(channel, in: call) { return nil }
      return (channel, channel.isUp ? "ANSWER" : "CANCEL", 16)
    }
    takeOut(leaving, of: &call)
  }

  /// A channel that ends, with the dial status and the cause (Q.850) that say why.
  typealias Leaving = (channel: Conversation.Channel, status: String, cause: Int)

  /// Ends them in the order of their appearance.
  mutating func takeOut(_ leaving: [Leaving], of call: inout Conversation) {
    for (channel, status, cause) in leaving {
      end(channel, because: status, cause, &call)
      noteEnd(of: channel, in: call)
      call.channels.removeAll { $0.facts.id == channel.facts.id }
      call.remember(channel)
    }
  }

  mutating func end(
    _ channel: Conversation.Channel, because status: String, _ cause: Int, _ call: inout Conversation
  ) {
    let gone = channel.goneAt ?? now
    let time = call.toldAt.map { max($0, gone) } ?? gone
    call.toldAt = time
    if channel.isUnseen { return vanish(channel, at: time) }
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

  private mutating func vanish(_ channel: Conversation.Channel, at time: Timestamp) {
    if !isInferring { tell(.inferring(true)) }
    tell(.vanished(id: channel.facts.id), at: time)
    if !isInferring { tell(.inferring(false)) }
  }

  /// A channel that was told to end comes back under another name, should its participant show again.
  mutating func noteEnd(of channel: Conversation.Channel, in call: Conversation) {
    if let key = channel.key { ended[key] = ((ended[key]?.count ?? 0) + 1, call.id) }
  }

  mutating func settle() {
    composePostponed(after: Self.patience)
    if !ended.isEmpty { ended = ended.filter { conversations[$0.value.call] != nil } }
    // A call without participants is unsettled too, however it lost them.
    let alive = Set(parts.values.map(\.callID))
    for (id, call) in conversations.sorted(by: { $0.key < $1.key }) where call.isUnsettled || !alive.contains(id) {
      resolve(id)
    }
  }
}
