// One connection to Asterisk, from the banner to the end, as a value: messages and the clock in, effects out.
//
//   banner ─▶ (challenge) ─▶ login ─▶ boot (FullyBooted, or 10 s) ─▶ snapshot (lists, or 5 s) ─▶ live
//
// Live events are observed from the login on; a snapshot only adds what they did not say. Every action has an id of
// its own, and answers are matched by it alone.

package import Basics
package import CallModel
internal import Crypto

package struct AMISession: Sendable {
  package enum Effect: Sendable {
    case send([UInt8])
    case observe(Observation)
    case answer(id: String, AMIResponse)
    /// The link is usable: logged in, with or without all rights.
    case up
    case snapshotDone
    /// Rights that are missing, as far as an answer showed.
    case denied(action: String)
    case end(End)
  }

  package enum End: Error, Sendable, Equatable {
    case refused(String)
    case accountInUse
    case notAMI(String)
    case garbage
    case silent
    case loggedOff
  }

  private enum Phase: Equatable {
    case banner, challenge, login
    case boot(until: Moment)
    case snapshot(until: Moment)
    case live
  }

  private enum Purpose {
    case challenge, login, epoch
    case list(String)
    case ping, probe, command
    /// A command whose answer is a list: what came of it so far.
    case question(AMIResponse?)
  }

  /// Silence that is answered with a ping, and how long the ping may take: together below 5 s.
  static let pingAfter: Duration = .seconds(2)
  static let pongWithin: Duration = .milliseconds(2500)

  /// How often the PBX is asked for its channels while the link holds: a leg whose end was never told ends here.
  static let auditEvery: Duration = .seconds(300)

  private let config: AsteriskSourceConfig
  private var decoder = AMIDecoder()
  private var clock = AMIClock()
  private var phase = Phase.banner
  private var pending: [String: Purpose] = [:]
  private var lastID = 0
  private var lastHeard: Moment
  private var pingSince: Moment?
  private var openLists: Set<String> = []
  private var effects: [Effect] = []
  private let tag: String
  private let openedAt: Moment
  private var nextAudit = Moment(nanoseconds: .max)

  /// - Parameter tag: makes this connection's action ids differ from every other's.
  package init(_ config: AsteriskSourceConfig, tag: String, at now: Moment) {
    (self.config, self.tag, lastHeard, openedAt) = (config, tag, now, now)
  }

  package var asteriskManagerVersion: String? { decoder.version }

  // MARK: In

  package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Moment, time: Timestamp) -> [Effect] {
    lastHeard = now
    pingSince = nil
    decoder.feed(bytes)
    do throws(AMIFault) {
      while try decoder.next() {
        if phase == .banner { greet() }
        message(now, time)
      }
      if phase == .banner, decoder.version != nil { greet() }
    } catch {
      switch error {
      case .notAMI(let text): effects.append(.end(.notAMI(text)))
      case .lineTooLong, .tooManyLines: effects.append(.end(.garbage))
      }
    }
    return take()
  }

  /// Called a few times a second.
  package mutating func tick(at now: Moment, time: Timestamp) -> [Effect] {
    switch phase {
    case .banner, .challenge, .login: if now - openedAt > .seconds(10) { effects.append(.end(.silent)) }
    case .boot(let until): if now >= until { bootedUnseen(now) }
    case .snapshot(let until): if now >= until { endSnapshot(time) }
    case .live: if now >= nextAudit { beginSnapshot(now) }
    }
    keepAlive(now)
    return take()
  }

  private mutating func keepAlive(_ now: Moment) {
    if let since = pingSince {
      if now - since > Self.pongWithin { effects.append(.end(.silent)) }
    } else if now - lastHeard > Self.pingAfter, phase != .banner, phase != .challenge, phase != .login {
      pingSince = now
      ask(AMIAction("Ping"), .ping)
    }
  }

  /// Sends an action on somebody's behalf; its answer comes as `.answer` with this id. Nil when it cannot be said.
  /// - Parameter isList: the answer is a response and then items; it comes when they are all here.
  package mutating func perform(_ action: AMIAction, isList: Bool = false) -> (id: String, effects: [Effect])? {
    guard let id = ask(action, isList ? .question(nil) : .command) else { return nil }
    return (id, take())
  }

  /// Asks what runs on a channel, for those whose account may not see the dialplan.
  package mutating func probe(channel: String) -> [Effect] {
    ask(AMIAction("Status", [("Channel", channel)]), .probe)
    return take()
  }

  private mutating func take() -> [Effect] {
    defer { effects.removeAll(keepingCapacity: true) }
    return effects
  }

  @discardableResult
  private mutating func ask(_ action: AMIAction, _ purpose: Purpose) -> String? {
    lastID += 1
    let id = "\(tag)-\(lastID)"
    guard let bytes = action.encoded(id: id) else { return nil }
    pending[id] = purpose
    effects.append(.send(bytes))
    return id
  }

  // MARK: Login

  private mutating func greet() {
    if config.md5Login {
      phase = .challenge
      ask(AMIAction("Challenge", [("AuthType", "MD5")]), .challenge)
    } else {
      logIn([("Secret", config.secret?.reveal() ?? "")])
    }
  }

  /// Only the classes that are needed: `dialplan` and the rest are two thirds of all bytes, and `dtmf` shows PINs.
  private mutating func logIn(_ proof: [(String, String)]) {
    phase = .login
    let mask = [("Events", "system,call,agent,user")]
    ask(AMIAction("Login", [("Username", config.username)] + proof + mask), .login)
  }

  private mutating func challenged(_ response: AMIResponse) {
    guard response.isSuccess, let challenge = response["Challenge"] else {
      return logIn([("Secret", config.secret?.reveal() ?? "")])
    }
    let key = Hex.encode(Digest.md5(Array((challenge + (config.secret?.reveal() ?? "")).utf8)))
    logIn([("AuthType", "MD5"), ("Key", key)])
  }

  private mutating func loggedIn(_ response: AMIResponse, _ now: Moment) {
    guard response.isSuccess else {
      let isInUse = response.message.contains("In Use")
      return effects.append(.end(isInUse ? .accountInUse : .refused(response.message)))
    }
    phase = .boot(until: now + .seconds(10))
    effects.append(.up)
    effects.append(.observe(Observation(at: Timestamp.now(), .linkUp(epoch: nil))))
  }

  // MARK: Messages

  private mutating func message(_ now: Moment, _ time: Timestamp) {
    if decoder.has("Response"), !decoder.has("Event") { return response(now) }
    if decoder.has("Event") { event(now, time) }
  }

  private mutating func response(_ now: Moment) {
    let response = AMIResponse(
      isSuccess: decoder.matches("Response", "Success"), message: decoder.known("Message"), headers: decoder.all)
    let id = decoder.value("ActionID") ?? ""
    // Before the login is through only one answer can come: a server that names no id, or another, still means it.
    let purpose = pending.removeValue(forKey: id) ?? (phase == .login ? .login : phase == .challenge ? .challenge : nil)
    switch purpose {
    case .challenge: challenged(response)
    case .login: loggedIn(response, now)
    case .epoch: learnEpoch(response)
    case .list(let name): if response.isSuccess { pending[id] = .list(name) } else { listDenied(name) }
    case .probe: if response.isSuccess { pending[id] = .probe }
    case .question where response.isSuccess: pending[id] = .question(response)
    case .command, .question: effects.append(.answer(id: id, response))
    case .ping, nil: if decoder.matches("Response", "Goodbye") { effects.append(.end(.loggedOff)) }
    }
  }

  private mutating func learnEpoch(_ response: AMIResponse) {
    guard response.isSuccess, let date = response["CoreStartupDate"], let time = response["CoreStartupTime"] else {
      return effects.append(.denied(action: "CoreStatus"))
    }
    effects.append(.observe(Observation(at: Timestamp.now(), .epoch("\(date) \(time)"))))
  }

  private mutating func event(_ now: Moment, _ time: Timestamp) {
    if let id = decoder.value("ActionID"), let purpose = pending[id] {
      if case .probe = purpose { return probed(id, time) }
      if case .question(let answer?) = purpose { return listed(id, answer) }
      if decoder.matches("EventList", "Complete") || decoder.value("Event")?.hasSuffix("Complete") == true {
        pending[id] = nil
        if case .list(let name) = purpose { listEnded(name, time) }
        return
      }
    }
    if decoder.matches("Event", "FullyBooted") { return booted(now, time) }
    guard let observation = decoder.observation(at: time) else { return }
    effects.append(.observe(clock.corrected(observation)))
  }

  private mutating func probed(_ id: String, _ time: Timestamp) {
    if decoder.matches("Event", "StatusComplete") {
      pending[id] = nil
      return
    }
    guard case .snapshotChannel(let facts, _, let application, let data, _)? = decoder.observation(at: time)?.fact
    else { return }
    effects.append(.observe(Observation(at: time, .applicationFound(facts, name: application, data: data))))
  }

  /// Items of a list that somebody asked for; more than this of them are not kept.
  private static let itemLimit = 1000

  private mutating func listed(_ id: String, _ answer: AMIResponse) {
    var answer = answer
    if decoder.matches("EventList", "Complete") || decoder.value("Event")?.hasSuffix("Complete") == true {
      pending[id] = nil
      return effects.append(.answer(id: id, answer))
    }
    if answer.items.count < Self.itemLimit { answer.items.append(decoder.all) }
    pending[id] = .question(answer)
  }

  private mutating func booted(_ now: Moment, _ time: Timestamp) {
    if case .boot = phase { beginSnapshot(now) }
  }

  /// FullyBooted is of class `system`: an account that is never told lacks it, and with it most of what is needed.
  private mutating func bootedUnseen(_ now: Moment) {
    effects.append(.denied(action: "events of class system"))
    beginSnapshot(now)
  }

  // MARK: Snapshot

  private static let lists: [AMIAction] = [
    AMIAction("CoreShowChannels"), AMIAction("Status"), AMIAction("BridgeList"), AMIAction("QueueStatus"),
    AMIAction("ParkedCalls"), AMIAction("DeviceStateList"), AMIAction("ExtensionStateList"),
  ]

  private mutating func beginSnapshot(_ now: Moment) {
    phase = .snapshot(until: now + .seconds(5))
    nextAudit = now + Self.auditEvery
    ask(AMIAction("CoreStatus"), .epoch)
    effects.append(.observe(Observation(at: Timestamp.now(), .snapshotBegan)))
    openLists = Set(Self.lists.map(\.name))
    for list in Self.lists { ask(list, .list(list.name)) }
  }

  private mutating func listDenied(_ name: String) {
    effects.append(.denied(action: name))
    listEnded(name, Timestamp.now())
  }

  private mutating func listEnded(_ name: String, _ time: Timestamp) {
    openLists.remove(name)
    if case .snapshot = phase, openLists.isEmpty { endSnapshot(time) }
  }

  private mutating func endSnapshot(_ time: Timestamp) {
    phase = .live
    effects.append(.observe(Observation(at: time, .snapshotEnded)))
    effects.append(.snapshotDone)
  }
}
