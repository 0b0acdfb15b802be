// Who was called, and why: rung, forwarded to, handed over to, as an agent.

internal import Basics
internal import CallModel

extension CallComposer {
  mutating func composeCallee(_ part: Participant, _ call: inout Conversation) {
    if call.index(of: part.key) == nil {
      let from = callerLine(of: part, &call)
      announce(part, from.map { call.channels[$0].facts }, &call)
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
}
