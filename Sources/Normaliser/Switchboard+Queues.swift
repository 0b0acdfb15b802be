// Waiting lines and those who serve them. Being queued is not being answered.

internal import Basics
internal import CallModel

extension Switchboard {
  mutating func queue(_ fact: Observation.Fact) {
    switch fact {
    case .queueJoined(let caller, let name, let position):
      update(caller)
      if let key = legs[caller.id]?.call { joined(key, name, position) }
    case .queueLeft(let caller, let name):
      update(caller)
      if let key = legs[caller.id]?.call { leftQueue(key, name) }
    case .queueAbandoned(let caller, let name, _):
      update(caller)
      // Asterisk says the same when the queue's own time is up: then nobody asked to hang up.
      if let key = legs[caller.id]?.call {
        let gaveUp =
          !seesEverything || legs[caller.id]?.askedToHangUp == true || calls[key]?.isHungUpByCommand == true
        dequeue(key, name, reason: gaveUp ? "abandoned" : "timeout")
      }
    case .agentCalled(let caller, let agent, _):
      update(caller)
      update(agent)
      legs[agent.id]?.role = .agent
      if legs[agent.id]?.origin != .called { legs[agent.id]?.origin = .called }
    case .agentConnected(let caller, let agent, let name, _):
      update(caller)
      update(agent)
      if let key = legs[caller.id]?.call { dequeue(key, name, reason: "answered") }
    case .agentRingNoAnswer(let caller, let agent, _):
      update(caller)
      update(agent)
      if legs[agent.id]?.dialStatus == nil { legs[agent.id]?.dialStatus = "NOANSWER" }
    default: break
    }
  }

  mutating func joined(_ key: Int, _ name: String, _ position: Int?) {
    guard calls[key]?.queue?.name != name else { return }
    settleRedirect(of: key)
    calls[key]?.queue = (name, now)
    calls[key]?.call.queue = name
    let number = number(name)
    if calls[key]?.call.to == nil { calls[key]?.call.to = number }
    calls[key]?.wasAbandoned = false
    emit(key, .queued(queue: name, position: position), participant: name)
  }

  /// Said of answered and of abandoned calls alike: an agent who is up has answered.
  private mutating func leftQueue(_ key: Int, _ name: String) {
    let isAnswered =
      calls[key]?.wasPickedUp == true
      || liveLegs(of: key).contains { $0.origin == .called && $0.isUp && !$0.isLocal }
    dequeue(key, name, reason: isAnswered ? "answered" : "timeout")
  }

  mutating func dequeue(_ key: Int, _ name: String, reason: String) {
    guard let waiting = calls[key]?.queue, waiting.name == name else { return }
    calls[key]?.queue = nil
    calls[key]?.wasAbandoned = reason == "abandoned"
    let wait = isInferring ? nil : Self.rounded(now.seconds(since: waiting.since))
    emit(key, .dequeued(queue: name, waitSeconds: wait, reason: reason), participant: name)
  }

  mutating func agentState(_ queue: String, _ agent: String, _ status: String, _ isPaused: Bool) {
    let state = isPaused ? status + ",paused" : status
    let key = queue + " " + agent
    guard agentStates.updateValue(state, forKey: key) != state else { return }
    emit(.agentStatus(queue: queue, agent: agent, status: status, isPaused: isPaused), about: key)
  }

  mutating func extensionState(_ exten: String, _ device: String, _ status: String) {
    if device.hasPrefix("PJSIP/") || device.hasPrefix("SIP/") {
      extensionOfDevice[String(device.prefix { $0 != "&" && $0 != "," })] = exten
    }
    guard extensionStates.updateValue(status, forKey: exten) != status else { return }
    emit(.extensionStatus(extension: exten, status: status.asciiLowercased), about: exten)
  }

  /// A mailbox with more new messages than before has received one.
  mutating func mailboxChanged(_ mailbox: String, _ new: Int, _ by: ChannelFacts?) {
    if let by { update(by) }
    let before = mailboxes.updateValue(new, forKey: mailbox)
    let leg = by.flatMap { legs[$0.id] }
    if let leg { calls[leg.call]?.mailbox = mailbox }
    let isByVoicemail = leg.flatMap { calls[$0.call]?.call.answeredBy?.kind } == .voicemail
    guard before.map({ new > $0 }) ?? (isByVoicemail && new > 0) else { return }
    let caller = leg.map { party(of: $0).id }
    emit(.voicemailReceived(Voicemail(mailbox: mailbox, caller: caller, new: new)), about: mailbox)
  }
}
