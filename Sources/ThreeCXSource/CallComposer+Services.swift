// Queues and machines that have a caller.

internal import Basics
internal import CallModel

extension CallComposer {
  mutating func serve(_ part: Participant, _ call: inout Conversation) {
    guard let caller = callerLine(of: part, &call) else { return }
    switch kinds[part.key.dn] ?? .unknown {
    case .queue:
      call.isQueueSeen = true
      queue(part.key.dn, caller, &call)
    case .voicemail, .ivr, .conference, .specialMenu:
      guard part.status == .connected else { return }
      bringUp(caller, &call)
      take(part, kinds[part.key.dn] ?? .unknown, part.key.dn, caller, &call)
    default: break
    }
  }

  mutating func serveCaller(_ part: Participant, _ index: Int, _ call: inout Conversation) {
    take(part, part.partyKind, part.partyDN, index, &call)
  }

  /// A special menu that has a caller who wanted somebody is that one's mailbox.
  private mutating func take(
    _ part: Participant, _ kind: PartyKind, _ dn: String, _ index: Int, _ call: inout Conversation
  ) {
    guard kind == .voicemail || kind == .specialMenu else { return run(kind, dn, index, &call) }
    let mailbox = part.onBehalfOfKind == .person ? part.onBehalfOf : wanted(in: call)
    if kind == .specialMenu, mailbox == nil { return run(kind, dn, index, &call) }
    run(.voicemail, mailbox ?? dn, index, &call)
  }

  /// Whoever was rung last, or dialled and not rung.
  private func wanted(in call: Conversation) -> String? {
    if let rung = (call.former + call.channels).last(where: { $0.role == .callee && $0.key != nil }) {
      return rung.key?.dn
    }
    return call.caller.map { call.channels[$0].facts.exten }.flatMap { kinds[$0] == .person ? $0 : nil }
  }

  /// A machine has the caller. Those who were rung before it are done with.
  mutating func run(_ kind: PartyKind, _ id: String, _ index: Int, _ call: inout Conversation) {
    guard call.service != id else { return }
    call.service = id
    let rung = call.channels.filter { $0.role == .callee && !$0.isUp }
    call.channels.removeAll { $0.role == .callee && !$0.isUp }
    guard let caller = call.caller else { return }
    for other in rung {
      tell(.dialEnded(from: call.channels[caller].facts, to: other.facts, status: "NOANSWER", forward: nil))
    }
    var facts = call.channels[caller].facts
    facts.exten = id
    tell(.applicationFound(facts, name: kind.application, data: id))
    for other in rung {
      tell(.hungUp(other.facts, cause: 19))
      noteEnd(of: other, in: call)
    }
  }

  mutating func queue(_ name: String, _ caller: Int, _ call: inout Conversation) {
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
}
