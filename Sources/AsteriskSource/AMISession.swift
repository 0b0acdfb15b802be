// One connection to Asterisk, from the banner to the end, as a value: messages and the clock in, effects out.
//
//   banner ─▶ (challenge) ─▶ login ─▶ boot (FullyBooted, or 10 s) ─▶ snapshot (lists, or 5 s) ─▶ live
//
// Live events are observed from the login on; a snapshot only adds what they did not say. Every action has an id of
// its own, and answers are matched by it alone.

package import Basics
package import CallModel

package struct AMISession: Sendable {
  package enum Effect: Sendable {
    case send([UInt8])
    case observe(Observation)
    case answer(id: String, AMIResponse)
    /// The link is usable: logged in, with or without all rights.
    case up
    case snapshotDone
    /// Not one question of the snapshot was answered: what is told now is all that there is.
    case unanswered
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

  enum Phase: Equatable {
    case banner, challenge, login
    case boot(until: Moment)
    case snapshot(until: Moment)
    case live
  }

  enum Purpose {
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

  let config: AsteriskSourceConfig
  var decoder = AMIDecoder()
  var clock = AMIClock()
  var phase = Phase.banner
  var pending: [String: Purpose] = [:]
  private var lastID = 0
  private var lastHeard: Moment
  private var pingSince: Moment?
  var openLists: Set<String> = []
  /// Of the present snapshot: whether any question was answered, and the items of its lists so far.
  var isAnswered = false
  var itemCount = 0
  var effects: [Effect] = []
  /// Of what is being done now.
  var now: Moment
  var time = Timestamp(microseconds: 0)
  private let tag: String
  private let openedAt: Moment
  var nextAudit = Moment(nanoseconds: .max)

  /// - Parameter tag: makes this connection's action ids differ from every other's.
  package init(_ config: AsteriskSourceConfig, tag: String, at now: Moment) {
    (self.config, self.tag, self.now, lastHeard, openedAt) = (config, tag, now, now, now)
  }

  package var asteriskManagerVersion: String? { decoder.version }

  // MARK: In

  package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Moment, time: Timestamp) -> [Effect] {
    (self.now, self.time) = (now, time)
    decoder.feed(bytes)
    do throws(AMIFault) {
      while try decoder.next() {
        // Whole messages alone: half of one, for ever, is a PBX that says nothing.
        (lastHeard, pingSince) = (now, nil)
        if phase == .banner { greet() }
        message()
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
    (self.now, self.time) = (now, time)
    switch phase {
    case .banner, .challenge, .login: if now - openedAt > .seconds(10) { effects.append(.end(.silent)) }
    case .boot(let until): if now >= until { bootedUnseen() }
    case .snapshot(let until):
      if now >= until {
        if !isAnswered { effects.append(.unanswered) }
        endSnapshot()
      }
    case .live: if now >= nextAudit { beginSnapshot() }
    }
    keepAlive()
    return take()
  }

  private mutating func keepAlive() {
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
  mutating func ask(_ action: AMIAction, _ purpose: Purpose) -> String? {
    lastID += 1
    let id = "\(tag)-\(lastID)"
    guard let bytes = action.encoded(id: id) else { return nil }
    pending[id] = purpose
    effects.append(.send(bytes))
    return id
  }
}
