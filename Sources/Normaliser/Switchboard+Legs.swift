// Channels appear, change, and are sorted into calls: who called, who was called, and who that is.

internal import Basics
internal import CallModel

extension Switchboard {
  /// Takes over what a message said of a channel; every message with a channel block comes through here.
  @discardableResult
  mutating func update(_ facts: ChannelFacts) -> LegRecord? {
    guard !facts.id.isEmpty else { return nil }
    guard var leg = legs[facts.id] else { return born(facts) }
    let before = leg.facts
    leg.generation = generation
    leg.facts.state = facts.state
    leg.facts.name = facts.name
    if !facts.number.isEmpty { leg.facts.number = facts.number }
    if !facts.callerName.isEmpty { leg.facts.callerName = facts.callerName }
    if !facts.connectedNumber.isEmpty { leg.facts.connectedNumber = facts.connectedNumber }
    (leg.facts.context, leg.facts.exten) = (facts.context, facts.exten)
    legs[facts.id] = leg
    if !facts.group.isEmpty, facts.group != before.group { regroup(facts.id, to: facts.group) }
    if facts.state != before.state { stateChanged(facts.id, from: before.state) }
    if leg.origin == .originated { becomeCallerIfMoved(facts.id) }
    return legs[facts.id]
  }

  private mutating func born(_ facts: ChannelFacts) -> LegRecord? {
    let group = facts.group.isEmpty ? facts.id : facts.group
    let key = groups[group] ?? newCall(group)
    let isFirst = calls[key]?.legIDs.isEmpty ?? true
    let origin: LegRecord.Origin =
      switch facts.state {
      case .down where group == facts.id && isFirst, .reserved where group == facts.id && isFirst: .originated
      case .ring, .offHook, .dialingOffHook, .preRing, .dialing: .caller
      case .up where group == facts.id || isFirst: .caller
      case .down, .reserved, .ringing, .up, .busy: .called
      }
    var leg = LegRecord(
      id: facts.id, birth: facts, bornAt: now, facts: facts, call: key, origin: origin,
      role: origin == .caller ? .caller : .callee, generation: generation)
    leg.facts.group = group
    if facts.state == .up { leg.upAt = isInferring ? nil : now }
    legs[facts.id] = leg
    calls[key]?.legIDs.append(facts.id)
    if leg.isLocal { pairByName(leg) } else { introduce(leg) }
    return leg
  }

  /// The halves of a Local channel are named alike but for `;1` and `;2`: known even where their birth was not seen.
  private mutating func pairByName(_ leg: LegRecord) {
    guard let end = leg.facts.name.last, end == "1" || end == "2" else { return }
    let other = leg.facts.name.dropLast() + (end == "1" ? "2" : "1")
    guard let sibling = localNames[String(other)] else {
      localNames[leg.facts.name] = leg.id
      return
    }
    localPairs[leg.id] = sibling
    localPairs[sibling] = leg.id
    localNames[String(other)] = nil
  }

  private mutating func newCall(_ group: String) -> Int {
    lastCallKey += 1
    let request = expected.removeValue(forKey: group)
    let firstSeen = request?.since ?? now
    let id = Identity.call(source: source, epoch: epoch, key: group, firstSeen: firstSeen)
    var call = Call(id: id, direction: .internal, startedAt: firstSeen)
    call.externalIDs = ["linkedid": group]
    if let request {
      (call.from, call.to) = (number(request.from), number(request.to))
      if !Self.isInternal(request.to) { call.direction = .outbound }
    }
    if !epoch.isEmpty { call.externalIDs["epoch"] = epoch }
    calls[lastCallKey] = CallRecord(key: lastCallKey, nativeKey: group, call: call)
    groups[group] = lastCallKey
    return lastCallKey
  }

  /// Fills in what a party's leg says of its call.
  private mutating func introduce(_ leg: LegRecord) {
    guard var record = calls[leg.call] else { return }
    let party = party(of: leg)
    switch leg.origin {
    case .caller where record.callerLeg == nil && record.call.from == nil:
      record.callerLeg = leg.id
      record.call.from = caller(leg, party)
      if record.call.to == nil, Self.isDialable(leg.birth.exten) { record.call.to = number(leg.birth.exten) }
      if party.kind == .external {
        record.call.direction = .inbound
        record.call.did = record.call.to?.raw
      }
    case .originated where record.call.from == nil:
      record.call.to = number(party.id, name: leg.birth.callerName)
      if party.kind == .external { record.call.direction = .outbound }
    case .caller, .called, .originated:
      break
    }
    calls[leg.call] = record
  }

  private func caller(_ leg: LegRecord, _ party: Party) -> Number? {
    party.id == "unknown" ? nil : number(party.id, name: leg.birth.callerName)
  }

  /// An extension of the dialplan that a person can have dialled, not one of its inner labels.
  static func isDialable(_ exten: String) -> Bool {
    !exten.isEmpty && !["s", "h", "i", "t"].contains(exten) && !exten.hasPrefix("s-")
  }

  private mutating func stateChanged(_ id: String, from before: ChannelFacts.State) {
    guard let leg = legs[id] else { return }
    switch leg.facts.state {
    case .ringing: rings(id)
    case .up: cameUp(id)
    case .ring where leg.origin == .originated && leg.dialler == nil && before == .down:
      legs[id]?.origin = .caller
      legs[id]?.role = .caller
      calls[leg.call]?.call.to = nil
      if let leg = legs[id] { introduce(leg) }
    case .down, .reserved, .offHook, .dialing, .ring, .busy, .dialingOffHook, .preRing: break
    }
  }

  /// A leg that an application dialled first and then sent into the dialplan is the caller of what it dials there.
  mutating func becomeCallerIfMoved(_ id: String) {
    guard let leg = legs[id], leg.isUp, leg.origin == .originated, hasMoved(leg), let person = personBehind(leg) else {
      return
    }
    for id in [id, person.id] {
      legs[id]?.origin = .caller
      legs[id]?.role = .caller
    }
    let (from, to) = (caller(person, party(of: person)), number(leg.facts.exten))
    calls[leg.call]?.callerLeg = person.id
    calls[leg.call]?.call.from = from
    calls[leg.call]?.call.to = to
  }

  func hasMoved(_ leg: LegRecord) -> Bool {
    Self.isDialable(leg.facts.exten) && leg.facts.exten != leg.birth.exten
  }

  /// Behind a Local channel that moves on there is a telephone, which itself is moved by nothing.
  private func personBehind(_ leg: LegRecord) -> LegRecord? {
    if leg.isLocal { return legs.values.first { $0.origin == .originated && $0.dialler == localPairs[leg.id] } }
    return leg.dialler.flatMap { localPairs[$0] } == nil ? leg : nil
  }

  // MARK: Who is that

  /// The person or line at the far end of a channel.
  func party(of leg: LegRecord) -> Party {
    if leg.isApplication { return Party(.application, leg.endpoint) }
    if let known = extensionOfDevice[leg.device] { return Party(.extension, known) }
    if let number = Self.numberDialledByTrunk(leg.dialled, endpoint: leg.endpoint) { return Party(.external, number) }
    let number = leg.birth.number
    if Self.isInternal(leg.endpoint) || leg.endpoint == number { return Party(.extension, leg.endpoint) }
    if leg.origin == .called, leg.dialled == leg.endpoint || leg.dialled == leg.device {
      return Party(.extension, Self.isInternal(number) ? number : leg.endpoint)
    }
    if Self.isInternal(number) { return Party(.extension, number) }
    let shown = number.isEmpty ? leg.facts.number : number
    return Party(.external, shown.isEmpty ? "unknown" : shown)
  }

  /// Up to six digits: longer than any dial plan's extensions that we know of, shorter than a telephone number.
  static func isInternal(_ number: String) -> Bool {
    (1...6).contains(number.utf8.count) && number.utf8.allSatisfy { (48...57).contains($0) }
  }

  /// `15550199@pstn-a`, `pstn-a/sip:15550199@host`, `PJSIP/pstn-a/15550199`: the number that was sent to the line.
  static func numberDialledByTrunk(_ dialled: String, endpoint: String) -> String? {
    guard dialled.utf8.contains(where: { $0 == UInt8(ascii: "@") || $0 == UInt8(ascii: ":") }),
      dialled.contains("@") || dialled.contains("sip:")
    else { return nil }
    let address = dialled.firstRange(of: "sip:").map { dialled[$0.upperBound...] } ?? dialled[...]
    let number = address.prefix { $0 != "@" }.split(separator: "/").last.map(String.init) ?? ""
    return number.isEmpty || number == endpoint ? nil : number
  }

  /// Whoever a dialled number belongs to, where only the number is known.
  func party(dialled number: String) -> Party { Party(Self.isInternal(number) ? .extension : .external, number) }
}
