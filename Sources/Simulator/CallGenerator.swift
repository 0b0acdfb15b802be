// Calls as an office makes them: seeded, at a rate, of every kind the simulated PBX knows.

internal import Basics
internal import Loop

extension SimulatedPBX {
  private static let people = ["Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi"]

  private func pickExtension(other than: String? = nil) -> (number: String, name: String) {
    var index = Int.random(in: 0..<8, using: &random)
    if String(201 + index) == than { index = (index + 1) % 8 }
    return (String(201 + index), Self.people[index])
  }

  /// Makes calls until the settings' number is reached; spaced evenly at the rate with some jitter.
  package func generate() {
    if let limit = settings.calls, callsMade >= limit { return }
    countCall()
    makeCall()
    let gap = random.seconds(0.5...1.5) / max(settings.rate, 0.001)
    LoopActor.loop.after(.nanoseconds(Int64(gap * 1e9))) { [weak self] in self?.generate() }
  }

  private func makeCall() {
    switch Int.random(in: 0..<100, using: &random) {
    case ..<45: internalCall()
    case ..<70: inboundCall()
    case ..<80: queueCall()
    case ..<90: outboundCall()
    default: failingCall()
    }
  }

  private func internalCall() {
    let from = pickExtension()
    let to = pickExtension(other: from.number)
    let caller = create(from.number, state: 4, number: from.number, name: from.name, exten: to.number)
    callExtension(caller, to)
  }

  private func inboundCall() {
    let number = "+1555" + String(Int.random(in: 1_000_000...9_999_999, using: &random))
    let caller = create("pstn", state: 4, number: number, name: "", exten: "5550101", context: "from-pstn")
    callExtension(caller, pickExtension())
  }

  private func outboundCall() {
    let from = pickExtension()
    let number = "9" + "1555" + String(Int.random(in: 1_000_000...9_999_999, using: &random))
    let caller = create(from.number, state: 4, number: from.number, name: from.name, exten: number)
    let line = create(
      "pstn", state: 0, number: "", name: "", exten: "s", context: "from-pstn", linked: channels[caller]?.linkedid)
    beginDial(caller, line, "\(number.dropFirst())@pstn")
    talk(caller, line)
  }

  private func callExtension(_ caller: String, _ to: (number: String, name: String)) {
    let callee = create(
      to.number, state: 0, number: to.number, name: to.name, exten: "s", linked: channels[caller]?.linkedid)
    beginDial(caller, callee, to.number)
    talk(caller, callee)
  }

  /// Rings, answers, perhaps holds or is transferred, and ends.
  private func talk(_ caller: String, _ callee: String) {
    let (ringing, talking) = (random.seconds(1...4), random.seconds(2...8))
    let fate = Int.random(in: 0..<10, using: &random)
    after(0.1) { [self] in ring(caller, callee) }
    after(0.1 + ringing) { [self] in
      guard channels[caller] != nil, channels[callee] != nil else { return }
      answer(caller, callee)
      if fate == 0 { holdAndResume(callee, for: talking / 3) }
      if fate == 1 { return transferBlind(callee, from: caller, after: talking / 2) }
      after(talking) { [self] in end(caller, callee, by: fate % 2 == 0 ? caller : callee) }
    }
  }

  func answer(_ caller: String, _ callee: String) {
    setState(callee, 6)
    endDial(caller, callee, "ANSWER")
    if channels[caller]?.state != 6 { setState(caller, 6) }
    join([callee, caller])
  }

  private func holdAndResume(_ id: String, for seconds: Double) {
    after(seconds / 2) { [self] in hold(id, true) }
    after(seconds) { [self] in hold(id, false) }
  }

  private func end(_ one: String, _ other: String, by requester: String) {
    guard channels[requester] != nil else { return }
    requestHangup(requester)
    for id in [one, other] { hangUp(id) }
  }

  func transferBlind(_ transferer: String, from customer: String, after seconds: Double) {
    after(seconds) { [self] in
      let target = pickExtension(other: channels[transferer]?.number)
      blindTransfer(transferer, customer, to: target.number)
    }
  }

  func blindTransfer(_ transferer: String, _ customer: String, to number: String) {
    guard let agent = channels[transferer], let other = channels[customer], let bridge = agent.bridge else { return }
    tell(
      "BlindTransfer",
      lines: [("Result", "Success")] + block(agent, "Transferer") + block(other, "Transferee") + bridgeLines(bridge)
        + [("IsExternal", "Yes"), ("Context", "internal"), ("Extension", number)])
    leave(transferer)
    leave(customer)
    hangUp(transferer)
    dial(customer, to: number)
  }

  /// The dialplan goes on with this channel at the number, which is answered.
  func dial(_ customer: String, to number: String) {
    move(customer, context: "internal", exten: number)
    let callee = create(number, state: 0, number: number, name: "", exten: "s", linked: channels[customer]?.linkedid)
    beginDial(customer, callee, number)
    after(0.1) { [self] in ring(customer, callee) }
    after(1) { [self] in
      guard channels[customer] != nil, channels[callee] != nil else { return }
      answer(customer, callee)
      after(3) { [self] in end(customer, callee, by: customer) }
    }
  }

  private func queueCall() {
    let number = "+1555" + String(Int.random(in: 1_000_000...9_999_999, using: &random))
    let caller = create("pstn", state: 4, number: number, name: "", exten: "5550100", context: "from-pstn")
    setState(caller, 6)
    joinQueue(caller, "sales")
    let agent = pickExtension()
    let callee = create(
      agent.number, state: 0, number: agent.number, name: agent.name, exten: "s", linked: channels[caller]?.linkedid)
    beginDial(caller, callee, "PJSIP/\(agent.number)")
    after(0.1) { [self] in ring(caller, callee) }
    let isAbandoned = Int.random(in: 0..<4, using: &random) == 0
    after(random.seconds(2...5)) { [self] in
      guard channels[caller] != nil, channels[callee] != nil else { return }
      if isAbandoned { return abandon(caller, callee) }
      setState(callee, 6)
      endDial(caller, callee, "ANSWER")
      leaveQueue(caller, abandoned: false)
      join([callee, caller])
      after(4) { [self] in end(caller, callee, by: callee) }
    }
  }

  private func abandon(_ caller: String, _ callee: String) {
    requestHangup(caller)
    leaveQueue(caller, abandoned: true)
    endDial(caller, callee, "CANCEL")
    hangUp(callee, cause: 0)
    hangUp(caller, cause: 0)
  }

  private func failingCall() {
    let (from, isBusy) = (pickExtension(), Bool.random(using: &random))
    let to = pickExtension(other: from.number)
    let caller = create(from.number, state: 4, number: from.number, name: from.name, exten: to.number)
    let callee = create(
      to.number, state: 0, number: to.number, name: to.name, exten: "s", linked: channels[caller]?.linkedid)
    beginDial(caller, callee, to.number)
    if isBusy {
      requestHangup(callee, cause: 17)
      endDial(caller, callee, "BUSY")
      hangUp(callee, cause: 17)
      return hangUp(caller, cause: 17)
    }
    after(0.1) { [self] in ring(caller, callee) }
    after(random.seconds(2...4)) { [self] in
      requestHangup(caller, cause: 127)
      endDial(caller, callee, "CANCEL")
      hangUp(callee, cause: 127)
      hangUp(caller, cause: 127)
    }
  }
}
