// Why a telephone is tried after another one: it was forwarded to, or the caller was handed over.

internal import Basics
internal import CallModel

extension CallComposer {
  /// Says why this telephone is tried, where another one was before.
  mutating func announce(_ part: Participant, _ caller: ChannelFacts?, _ call: inout Conversation) {
    if part.onBehalfOfKind == .person, part.onBehalfOf != part.key.dn {
      forward(by: part.onBehalfOf, to: part.key.dn, caller, &call)
    }
    if let referrer = referrer(of: part, call) { handOver(by: referrer, to: part, caller, &call) }
  }

  // MARK: Forwarded

  /// By a telephone that rings, that rang, or that never was a participant.
  private mutating func forward(by dn: String, to target: String, _ caller: ChannelFacts?, _ call: inout Conversation) {
    let rung = call.called(dn) { $0.role == .callee && !$0.isUp }
    let isUnseen = caller != nil && !call.everybody.contains { $0.dn == dn }
    guard rung != nil || isUnseen, call.forwarded.insert("\(dn)>\(target)").inserted else { return }
    guard let rung else { return forwardUnseen(by: dn, to: target, caller, call) }
    tell(.dialEnded(from: caller, to: rung.facts, status: "FORWARDED", forward: target))
    call.toldAt = now
    if call.index(of: rung) != nil { takeOut([(rung, "FORWARDED", 16)], of: &call) }
  }

  private mutating func forwardUnseen(by dn: String, to target: String, _ from: ChannelFacts?, _ call: Conversation) {
    let facts = ChannelFacts(
      id: "\(call.group)/\(dn)/forward", group: call.group, name: "3CX/\(dn)-0", number: dn)
    tell(.dialBegan(from: from, to: facts, dialled: dn))
    tell(.dialEnded(from: from, to: facts, status: "FORWARDED", forward: target))
    tell(.hungUp(facts, cause: 16))
  }

  /// The caller, whom nobody has answered, speaks of a number beyond the PBX where a telephone rang before.
  mutating func forwardBeyond(
    _ part: Participant, to number: String, _ caller: ChannelFacts, _ call: inout Conversation
  ) {
    let all = call.former + call.channels
    guard !all.contains(where: { $0.role == .callee && $0.isUp }) else { return }
    let rung = all.last { channel in
      channel.role == .callee && channel.key != nil
        && (channel.goneAt != nil || channel.key?.dn == part.onBehalfOf || call.index(of: channel) == nil)
    }
    if let dn = rung?.key?.dn { forward(by: dn, to: number, caller, &call) }
  }

  // MARK: Handed over

  /// Whoever handed the caller over to this telephone: named, or he talked with him, is gone, and nobody else talks.
  private func referrer(of part: Participant, _ call: Conversation) -> Conversation.Channel? {
    if part.referredByKind == .person {
      return part.referredBy == part.key.dn ? nil : call.called(part.referredBy) { $0.isBridged }
    }
    let talkers = (call.former + call.channels).filter { $0.isBridged && $0.key != nil && $0.key?.dn != part.key.dn }
    let consulted = talkers.last { consultation(of: $0.key?.dn ?? "", with: part.key.dn, besides: call.id) != nil }
    if let consulted { return consulted }
    return part.status == .ringing && call.talking.isEmpty ? talkers.last { $0.role == .callee } : nil
  }

  private mutating func handOver(
    by referrer: Conversation.Channel, to part: Participant, _ caller: ChannelFacts?, _ call: inout Conversation
  ) {
    let dn = referrer.key?.dn ?? ""
    guard call.forwarded.insert("\(dn)>>\(part.key.dn)").inserted else { return }
    let other = call.channels.first { $0.isBridged && $0.key != referrer.key && $0.goneAt == nil }
    if let (second, target) = consultation(of: dn, with: part.key.dn, besides: call.id) {
      tell(
        .attendedTransfer(
          first: referrer.facts, second: second, transferee: other?.facts, target: target, succeeded: true))
    } else {
      tell(.blindTransfer(from: referrer.facts, transferee: other?.facts, to: part.key.dn, succeeded: true))
    }
    call.toldAt = now
    if let index = call.channels.firstIndex(where: { $0.facts.id == caller?.id && $0.goneAt == nil && $0.isBridged }) {
      tell(.bridgeLeft(call.channels[index].facts, call.bridge))
      call.channels[index].isBridged = false
    }
    if referrer.goneAt != nil, call.index(of: referrer) != nil { takeOut([(referrer, "ANSWER", 16)], of: &call) }
  }

  /// Another call in which he asked her first.
  private func consultation(of one: String, with other: String, besides id: Int) -> (ChannelFacts, ChannelFacts)? {
    for call in conversations.values.sorted(by: { $0.id < $1.id }) where call.id != id {
      let everybody = call.everybody
      if let first = everybody.last(where: { $0.dn == one }), let second = everybody.last(where: { $0.dn == other }) {
        return (first.facts, second.facts)
      }
    }
    return nil
  }
}
