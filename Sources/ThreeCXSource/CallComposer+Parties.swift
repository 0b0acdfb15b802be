// Where a participant belongs in its call: who called, who was called, and what is neither.

internal import Basics
internal import CallModel

extension CallComposer {
  mutating func conversation(_ id: Int) -> Conversation {
    conversations[id] ?? Conversation(id: id, group: group(id))
  }

  mutating func compose(_ part: Participant) {
    var call = conversation(part.callID)
    let told = out.count
    if isService(part) {
      serve(part, &call)
    } else if call.channels.isEmpty, isExpected(part) {
      composeCaller(part, &call)
    } else if role(of: part, in: call) == .caller {
      composeCaller(part, &call)
    } else if isPostponed(part, call) {
      return
    } else {
      composeCallee(part, &call)
    }
    if out.count > told { call.toldAt = now }
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
  mutating func isPostponed(_ part: Participant, _ call: Conversation) -> Bool {
    guard !isInferring, part.partyKind == .person, kinds[part.partyDN] == .person, call.index(of: part.key) == nil,
      !call.everybody.contains(where: { $0.dn == part.partyDN }), call.caller == nil
    else { return false }
    if let since = postponed[part.key] { return moment - since < Self.patience }
    postponed[part.key] = moment
    return true
  }

  mutating func composePostponed(after patience: Duration) {
    for (key, since) in postponed.sorted(by: { $0.key < $1.key }) where moment - since >= patience {
      guard let part = parts[key] else {
        postponed[key] = nil
        continue
      }
      compose(part)
      postponed[key] = nil
    }
  }

  func isService(_ part: Participant) -> Bool {
    switch kinds[part.key.dn] ?? .unknown {
    case .queue, .ivr, .ringGroup, .parking, .conference, .voicemail, .specialMenu: true
    case .person, .line, .routePoint, .unknown: false
    }
  }

  func role(of part: Participant, in call: Conversation) -> Conversation.Channel.Role {
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

  mutating func composeCaller(_ part: Participant, _ call: inout Conversation) {
    let isLine = part.partyKind == .line
    let target = isLine && !part.partyNumber.isEmpty ? part.partyNumber : part.partyDN
    let index = ensure(part.key, .caller, &call) { facts in
      facts.state = .ring
      facts.exten = target
    }
    // Of a call that we asked for: who it is for is called when he has picked up.
    if part.status == .ringing { return }
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
      if isLine, call.index(ofLine: "\(name)/\(target)") == nil, let caller = call.index(of: part.key) {
        forwardBeyond(part, to: target, call.channels[caller].facts, &call)
      }
      // Taken anew: others may have left the list.
      guard let index = call.index(of: part.key) else { return }
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
  mutating func callerLine(of part: Participant, _ call: inout Conversation) -> Int? {
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
}
