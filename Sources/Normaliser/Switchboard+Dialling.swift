// Ringing and answering: from the first attempt to the moment that somebody, or something, takes the call.

internal import Basics
internal import CallModel

extension Switchboard {
  mutating func dialBegan(_ from: ChannelFacts?, _ to: ChannelFacts, _ dialled: String) {
    if let from { update(from) }
    update(to)
    guard let leg = legs[to.id] else { return }
    legs[to.id]?.dialler = from?.id
    legs[to.id]?.dialled = dialled
    if let from, leg.origin != .called, from.id != to.id {
      legs[to.id]?.origin = .called
      legs[to.id]?.role = .callee
    }
    if isOfOriginator(to.id) { legs[to.id]?.origin = .originated }
    settleRedirect(of: leg.call)
    calls[leg.call]?.endRequester = nil
    if let leg = legs[to.id], !leg.isLocal { placed(leg) }
  }

  /// An application asked for a Local channel: whoever is rung behind it first is who will be the caller.
  private func isOfOriginator(_ id: String) -> Bool {
    guard let leg = legs[id], let front = leg.dialler.flatMap({ localPairs[$0] }).flatMap({ legs[$0] }) else {
      return false
    }
    return front.isLocal && front.origin == .originated && !hasMoved(front)
  }

  private mutating func placed(_ leg: LegRecord) {
    let party = party(of: leg)
    if leg.origin == .called, isConsultation(leg) { legs[leg.id]?.role = .consult }
    if isBehindAgent(leg) { legs[leg.id]?.role = .agent }
    guard var record = calls[leg.call] else { return }
    if record.call.to == nil { record.call.to = number(party.id) }
    if party.kind == .external, record.call.direction == .internal { record.call.direction = .outbound }
    calls[leg.call] = record
  }

  /// Somebody holds the talk and calls on: the new leg's line of diallers does not begin with a party of the talk.
  private func isConsultation(_ leg: LegRecord) -> Bool {
    guard let record = calls[leg.call], record.isStarted, parties(of: leg.call).contains(where: \.isHolding) else {
      return false
    }
    var dialler = leg.dialler.flatMap { legs[$0] }
    for _ in 0..<8 {
      guard let current = dialler, current.isLocal else { break }
      let other = localPairs[current.id].flatMap { legs[$0] }
      dialler = other?.dialler.flatMap { legs[$0] }
    }
    return dialler.map { $0.isHolding } ?? true
  }

  /// A queue may call its member through a Local channel: who is rung behind it is the agent.
  private func isBehindAgent(_ leg: LegRecord) -> Bool {
    guard let dialler = leg.dialler.flatMap({ legs[$0] }), dialler.isLocal else { return false }
    return localPairs[dialler.id].flatMap { legs[$0] }?.role == .agent
  }

  mutating func dialProgress(_ to: ChannelFacts, _ status: String) {
    update(to)
    // A line that only sends early media (183) rings as well.
    if status == "RINGING" || status == "PROGRESS" { rings(to.id) }
  }

  mutating func dialEnded(_ from: ChannelFacts?, _ to: ChannelFacts, _ status: String, _ forward: String?) {
    if let from { update(from) }
    update(to)
    guard let leg = legs[to.id] else { return }
    if leg.dialStatus == nil { legs[to.id]?.dialStatus = status }
    if let forward, !forward.isEmpty, !leg.isLocal {
      let target = String(forward.prefix { $0 != "@" }.split(separator: "/").last ?? "")
      legs[to.id]?.endReason = "forwarded"
      emit(leg.call, .transferred(.forward, from: party(of: leg), to: party(dialled: target)), participant: leg.id)
    }
    if status == "ANSWER", leg.origin == .originated { cameUp(to.id) }
  }

  /// A party's telephone rings. What an application dials first is the caller's own telephone: its ringing is told,
  /// but `call.ring` waits until it is known who is being called.
  mutating func rings(_ id: String) {
    joinIfCalledBack(id)
    guard let leg = legs[id], !leg.isLocal, leg.origin != .caller, !leg.wasToldRinging, leg.isLive else { return }
    legs[id]?.wasToldRinging = true
    legs[id]?.ringingAt = now
    if leg.origin == .called {
      if isInferring {
        calls[leg.call]?.timesAreUnknown = true
      } else if calls[leg.call]?.firstRingAt == nil {
        calls[leg.call]?.firstRingAt = now
      }
      ring(leg.call)
    }
    if let leg = legs[id] { emit(leg.call, .legRinging(model(of: leg)), participant: id) }
  }

  private mutating func ring(_ key: Int) {
    guard let record = calls[key], !record.hasRung, record.call.answeredBy?.isPerson != true else { return }
    calls[key]?.hasRung = true
    emit(key, .ring)
  }

  mutating func cameUp(_ id: String) {
    joinIfCalledBack(id)
    guard let leg = legs[id] else { return }
    if leg.upAt == nil, !isInferring { legs[id]?.upAt = now }
    if leg.origin == .originated, !leg.isLocal, !leg.wasToldAnswered { answered(id) }
    considerApplication(id)
  }

  mutating func answered(_ id: String) {
    guard let leg = legs[id], !leg.wasToldAnswered else { return }
    legs[id]?.wasToldAnswered = true
    legs[id]?.connectedAt = now
    if let leg = legs[id] { emit(leg.call, .legAnswered(model(of: leg)), participant: id) }
  }

  /// The call is taken. Told once; a person who comes after a machine becomes the one who answered.
  mutating func start(_ key: Int, by party: Party, at time: Timestamp? = nil) {
    let isLater = calls[key]?.isStarted ?? true
    if !isLater, isInferring, party.isPerson { ring(key) }
    guard var record = calls[key] else { return }
    if isLater, record.call.answeredBy?.isPerson != false || !party.isPerson { return }
    record.call.answeredBy = party
    record.isStarted = true
    if isInferring {
      record.timesAreUnknown = true
    } else {
      record.call.answeredAt = time ?? now
      record.call.ringSeconds = ringSeconds(record, until: time ?? now)
    }
    calls[key] = record
    emit(key, isLater ? .updated : .started, at: time)
  }

  /// From the first called leg's ringing; the originated leg's own ringing counts where no other rang.
  func ringSeconds(_ record: CallRecord, until end: Timestamp) -> Double? {
    let first = record.firstRingAt ?? parties(of: record.key).compactMap(\.ringingAt).min()
    if record.timesAreUnknown { return nil }
    guard let first else { return 0 }
    let end = min(end, lastRing(record.key) ?? end)
    return first < end ? Self.rounded(end.seconds(since: first)) : 0
  }

  /// When the last telephone stopped ringing; nil while one rings.
  private func lastRing(_ key: Int) -> Timestamp? {
    let rung = parties(of: key).filter { $0.ringingAt != nil }
    let ends = rung.compactMap { $0.connectedAt ?? $0.endedAt }
    return ends.count == rung.count ? ends.max() : nil
  }

  static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }

  // MARK: Applications

  /// A call we asked for that never became a channel: it was announced, so it is told that it failed.
  mutating func originateFailed(_ id: String, _ channel: String) {
    guard legs[id] == nil, expected[id] != nil else { return }
    update(ChannelFacts(id: id, group: id, name: channel + "-0"))
    end(id, cause: 20)
  }

  /// Since when a channel that is up can have been with a machine: since it came up, or since the last of those who
  /// were tried for it was gone.
  func aloneSince(_ id: String) -> Timestamp? {
    guard let leg = legs[id], let upAt = leg.upAt else { return nil }
    let tried = parties(of: leg.call).filter { $0.id != id }.compactMap(\.endedAt)
    return max(upAt, tried.max() ?? upAt)
  }

  /// - Parameter since: when it began to run, where it was asked for later.
  mutating func applicationRuns(_ facts: ChannelFacts, _ name: String, _ data: String, since: Timestamp? = nil) {
    update(facts)
    guard let leg = legs[facts.id] else { return }
    legs[facts.id]?.application = (name.asciiLowercased, data)
    if name.asciiLowercased == "ringing", leg.origin == .caller { ring(leg.call) }
    considerApplication(facts.id, since: since)
  }

  /// A caller's channel that is up, alone, and runs something that answers: the machine has the call.
  mutating func considerApplication(_ id: String, since: Timestamp? = nil) {
    guard let leg = legs[id], leg.isUp, leg.origin != .called, !leg.isLocal, leg.bridge == nil,
      let application = leg.application, let record = calls[leg.call], record.queue == nil,
      !liveLegs(of: leg.call).contains(where: {
        $0.origin == .called && !$0.isLocal && $0.outcome == .none && $0.dialStatus == nil
      }),
      let party = Application.party(application.name, application.data, exten: dialled(by: leg, record))
    else { return }
    // Dialled by an application that keeps it: the telephone that answered is the one who took the call.
    if leg.origin == .originated { return start(leg.call, by: self.party(of: leg), at: since) }
    taken(leg.call, by: party, at: since)
  }

  /// What names a menu: its extension, or the number that led to it where it has only a label.
  private func dialled(by leg: LegRecord, _ record: CallRecord) -> String {
    Self.isDialable(leg.facts.exten) ? leg.facts.exten : record.call.to?.raw ?? leg.facts.exten
  }

  /// A machine has the caller. After people it is told where he is left alone with it, as after a transfer to a mailbox.
  mutating func taken(_ key: Int, by party: Party, at time: Timestamp? = nil) {
    guard let record = calls[key] else { return }
    let keeps = [.voicemail, .conference].contains(party.kind) && !record.services.contains { $0.party == party }
    let isAlone = liveLegs(of: key).count { !$0.isLocal } == 1
    guard !record.isStarted || keeps && isAlone else { return }
    let number = number(party.id)
    let leg = Leg(
      id: "service-\(record.services.count + 1)", channel: "", role: .service, party: party, number: number,
      state: .answered, answeredAt: time ?? now)
    calls[key]?.services.append(leg)
    start(key, by: party, at: time)
    emit(key, .legAnswered(leg), participant: leg.id, at: time)
  }
}

/// Dialplan applications that take a call, and who that makes the answering party. Those not listed only prepare one
/// (Answer, Set, Dial, Queue, Wait …).
enum Application {
  /// Says no to a caller in sound; nobody took the call.
  static func isTone(_ name: String?) -> Bool {
    name.map { ["congestion", "busy", "playtones"].contains($0) } ?? false
  }

  static func party(_ name: String, _ data: String, exten: String) -> Party? {
    let first = data.split(separator: ",", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    switch name {
    case "voicemail", "minivm_record":
      let mailbox = first.split(separator: "&").first.map(String.init) ?? first
      // Without a mailbox it fails at once, and nobody is answered.
      guard let begin = mailbox.first, begin != "@" else { return nil }
      return Party(.voicemail, mailbox.contains("@") ? mailbox : mailbox + "@default")
    case "voicemailmain", "vmauthenticate", "minivm_accmess": return Party(.application, "voicemail-main")
    case "confbridge", "meetme", "page": return Party(.conference, first)
    case "stasis": return Party(.application, "stasis:" + first)
    case "echo": return Party(.application, "echo")
    case "playback", "background", "backgrounddetect", "controlplayback", "read", "waitexten", "directory", "disa",
      "saydigits", "saynumber", "sayalpha", "sayphonetic", "sayunixtime", "record", "authenticate", "speechbackground":
      return Party(.ivr, exten)
    case "musiconhold", "milliwatt", "dictate", "chanspy", "extenspy", "receivefax", "sendfax", "festival",
      "morsecode", "alarmreceiver", "audiosocket", "externalivr", "jack":
      return Party(.application, "service")
    default: return nil
    }
  }
}
