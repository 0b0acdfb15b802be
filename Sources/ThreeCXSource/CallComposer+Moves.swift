// Participants and lines that go over to another call: somebody handed them over.

internal import Basics
internal import CallModel

extension CallComposer {
  /// A participant is counted to another call now: an attended transfer joined the two.
  mutating func move(_ key: Participant.Key, from old: Int, to part: Participant) {
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
  mutating func handOver(
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
  mutating func adopt(_ line: String, of part: Participant, _ call: inout Conversation) {
    for other in conversations.values.sorted(by: { $0.id < $1.id }) where other.id != call.id {
      let isConsulted = other.everybody.contains { one in call.everybody.contains { $0.dn == one.dn } }
      let referrer =
        part.referredByKind == .person && !isConsulted
        ? other.channels.last { $0.key?.dn == part.referredBy && $0.isBridged } : nil
      guard let index = other.index(ofLine: line), referrer != nil || isConsulted else { continue }
      if let referrer {
        let transferee = other.channels[index].facts
        tell(.blindTransfer(from: referrer.facts, transferee: transferee, to: part.key.dn, succeeded: true))
      }
      var former = other
      var channel = former.channels.remove(at: index)
      channel.facts.group = call.group
      channel.returns()
      channel.isBridged = false
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
