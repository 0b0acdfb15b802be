// Who was called, and why: rung, forwarded to, handed over to, as an agent.

internal import Basics
internal import CallModel

extension CallComposer {
  mutating func composeCallee(_ part: Participant, _ call: inout Conversation) {
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
  mutating func leaveIfOverflown(_ part: Participant, _ caller: Int?, _ call: inout Conversation) {
    guard let queue = call.queue, let caller, !call.wasDequeued, call.isQueueSeen, queueOf(part) == nil,
      !parts.values.contains(where: { $0.callID == call.id && kinds[$0.key.dn] == .queue })
    else { return }
    call.wasDequeued = true
    tell(.queueLeft(call.channels[caller].facts, queue: queue))
  }

  /// A queue that this telephone rings for, where the participant names it.
  func queueOf(_ part: Participant) -> String? {
    if part.onBehalfOfKind == .queue { return part.onBehalfOf }
    if part.originatedByKind == .queue { return part.originatedBy }
    if part.referredByKind == .queue { return part.referredBy }
    return part.partyKind == .queue ? part.partyDN : nil
  }

  /// Says why this telephone is tried, where another one was before.
  mutating func announce(_ part: Participant, _ caller: Int?, _ call: inout Conversation) {
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
  mutating func forwardedUnseen(_ part: Participant, _ caller: Int?, _ call: Conversation) {
    let facts = ChannelFacts(
      id: "\(call.group)/\(part.onBehalfOf)/forward", group: call.group, name: "3CX/\(part.onBehalfOf)-0",
      number: part.onBehalfOf)
    let from = caller.map { call.channels[$0].facts }
    tell(.dialBegan(from: from, to: facts, dialled: part.onBehalfOf))
    tell(.dialEnded(from: from, to: facts, status: "FORWARDED", forward: part.key.dn))
    tell(.hungUp(facts, cause: 16))
  }
}
