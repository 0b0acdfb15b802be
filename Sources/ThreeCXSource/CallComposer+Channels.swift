// The channels that a call must have for its participants to be there.

internal import Basics
internal import CallModel

extension CallComposer {
  mutating func ensure(
    _ key: Participant.Key, _ role: Conversation.Channel.Role, _ call: inout Conversation,
    _ fill: (inout ChannelFacts) -> Void
  ) -> Int {
    if let known = call.index(of: key) {
      call.channels[known].returns()
      return known
    }
    let again = ended[key].map { "~\($0.count)" } ?? ""
    let technology = kinds[key.dn] == .routePoint ? "Application" : "3CX"
    var facts = ChannelFacts(
      id: channel(key) + again, group: call.group, name: "\(technology)/\(key.dn)-\(key.id)", number: key.dn)
    fill(&facts)
    call.channels.append(Conversation.Channel(facts: facts, role: role, key: key))
    if role == .caller { tell(.channel(facts)) }
    return call.channels.count - 1
  }

  mutating func ensureLine(
    _ name: String, _ number: String, _ role: Conversation.Channel.Role, _ call: inout Conversation, exten: String = "",
    callerName: String = ""
  ) -> Int {
    if let known = call.index(ofLine: "\(name)/\(number)") {
      call.channels[known].returns()
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

  mutating func dial(_ index: Int, from caller: Int?, _ dialled: String, _ call: inout Conversation) {
    guard call.channels[index].dialled.isEmpty else { return }
    call.channels[index].dialled = dialled
    tell(.dialBegan(from: caller.map { call.channels[$0].facts }, to: call.channels[index].facts, dialled: dialled))
  }

  mutating func ring(_ index: Int, _ call: inout Conversation) {
    guard call.channels[index].facts.state == .down else { return }
    call.channels[index].facts.state = .ringing
    tell(.channel(call.channels[index].facts))
  }

  mutating func bringUp(_ index: Int, _ call: inout Conversation) {
    guard !call.channels[index].isUp else { return }
    call.channels[index].facts.state = .up
    tell(.channel(call.channels[index].facts))
  }

  /// Both sides of a talk are there: they are bridged, and a queue that brought them together is left.
  mutating func connectIfBothUp(_ call: inout Conversation) {
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
  mutating func endOtherAgents(_ call: inout Conversation) {
    takeOut(call.channels.filter { $0.isForAgent && !$0.isUp }.map { ($0, "CANCEL", 26) }, of: &call)
  }
}
