// Answers to what was asked, and what is told without being asked.

internal import CallModel

extension AMISession {
  mutating func message() {
    if decoder.has("Response"), !decoder.has("Event") { return response() }
    if decoder.has("Event") { event() }
  }

  mutating func response() {
    let response = AMIResponse(
      isSuccess: decoder.matches("Response", "Success"), message: decoder.known("Message"), headers: decoder.all)
    let id = decoder.value("ActionID") ?? ""
    // Before the login is through only one answer can come: a server that names no id, or another, still means it.
    let purpose = pending.removeValue(forKey: id) ?? (phase == .login ? .login : phase == .challenge ? .challenge : nil)
    switch purpose {
    case .challenge: challenged(response)
    case .login: loggedIn(response)
    case .epoch:
      isAnswered = true
      learnEpoch(response)
    case .list(let name):
      isAnswered = true
      if response.isSuccess { pending[id] = .list(name) } else { listDenied(name) }
    case .probe: if response.isSuccess { pending[id] = .probe }
    case .question where response.isSuccess: pending[id] = .question(response)
    case .command, .question: effects.append(.answer(id: id, response))
    case .ping, nil: if decoder.matches("Response", "Goodbye") { effects.append(.end(.loggedOff)) }
    }
  }

  mutating func learnEpoch(_ response: AMIResponse) {
    guard response.isSuccess, let date = response["CoreStartupDate"], let clock = response["CoreStartupTime"] else {
      return effects.append(.denied(action: "CoreStatus"))
    }
    effects.append(.observe(Observation(at: time, .epoch("\(date) \(clock)"))))
  }

  mutating func event() {
    if let id = decoder.value("ActionID"), let purpose = pending[id] {
      if case .probe = purpose { return probed(id) }
      if case .question(let answer?) = purpose { return listed(id, answer) }
      if decoder.matches("EventList", "Complete") || decoder.value("Event")?.hasSuffix("Complete") == true {
        pending[id] = nil
        if case .list(let name) = purpose { listEnded(name) }
        return
      }
      if case .list = purpose { countItem() }
    }
    if decoder.matches("Event", "FullyBooted") { return booted() }
    guard let observation = decoder.observation(at: time) else { return }
    effects.append(.observe(clock.corrected(observation)))
  }

  mutating func probed(_ id: String) {
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

  mutating func listed(_ id: String, _ answer: AMIResponse) {
    var answer = answer
    if decoder.matches("EventList", "Complete") || decoder.value("Event")?.hasSuffix("Complete") == true {
      pending[id] = nil
      return effects.append(.answer(id: id, answer))
    }
    if answer.items.count < Self.itemLimit { answer.items.append(decoder.all) }
    pending[id] = .question(answer)
  }

  mutating func booted() {
    if case .boot = phase { beginSnapshot() }
  }

  /// FullyBooted is of class `system`: an account that is never told lacks it, and with it most of what is needed.
  mutating func bootedUnseen() {
    effects.append(.denied(action: "events of class system"))
    beginSnapshot()
  }
}
