// CallCommands on Asterisk. Channels are addressed by name and may be gone by the time an action arrives: that they do
// not exist is an answer, not a fault.

internal import Basics
package import CallModel
internal import Crypto
package import Loop

@LoopActor
package final class AsteriskCommands {
  private let source: AsteriskSource
  /// Announces a call that is about to be, so that its id is known before its first event.
  private let expect: (@LoopActor (_ group: String, OriginateRequest) -> CallID)?
  private var allowed: Set<String>?
  private var allowedAt = Moment(nanoseconds: 0)

  /// - Parameter expect: nil where calls are only looked at; originate is refused then.
  package init(_ source: AsteriskSource, expect: (@LoopActor (_ group: String, OriginateRequest) -> CallID)? = nil) {
    (self.source, self.expect) = (source, expect)
  }

  // MARK: Commands

  package func originate(_ request: OriginateRequest) async throws(CommandRefusal) -> CallID {
    let group = "sidetone-" + Hex.encode(Random.bytes(12))
    guard let expect else { throw CommandRefusal(.notSupported, "not-supported", "This link does not place calls.") }
    try await mustExist(request.to)
    let id = expect(group, request)
    var headers = [
      ("Channel", device(request.from)), ("Context", source.config.dialContext), ("Exten", request.to),
      ("Priority", "1"),
      ("Async", "true"), ("ChannelId", group), ("Timeout", String(request.timeout.nanoseconds / 1_000_000)),
    ]
    if let callerID = request.callerID { headers.append(("CallerID", callerID)) }
    try await perform(AMIAction("Originate", headers))
    return id
  }

  package func hangUp(_ call: Call) async throws(CommandRefusal) {
    let legs = live(call).sorted { ($0.role == .caller ? 0 : 1) < ($1.role == .caller ? 0 : 1) }
    guard !legs.isEmpty else { throw Self.gone }
    source.announce(.hangUpCommanded(call.id, isRefused: false))
    do throws(CommandRefusal) { try await hangUp(legs) } catch {
      if error.kind != .outcomeUnknown { source.announce(.hangUpCommanded(call.id, isRefused: true)) }
      throw error
    }
  }

  /// Each leg by itself: while the call is held or a consultation is on, they share no bridge that would end with one.
  private func hangUp(_ legs: [Leg]) async throws(CommandRefusal) {
    var isDone = false
    for leg in legs {
      do throws(CommandRefusal) {
        try await perform(AMIAction("Hangup", [("Channel", leg.channel), ("Cause", "16")]))
        isDone = true
      } catch  where error.kind == .notNow {
        continue
      }
    }
    if !isDone { throw Self.gone }
  }

  package func blindTransfer(_ call: Call, to target: String) async throws(CommandRefusal) {
    try mustTalk(call)
    let (agent, _) = try pair(call)
    try await mustExist(target)
    try await perform(
      AMIAction(
        "BlindTransfer", [("Channel", agent.channel), ("Context", source.config.dialContext), ("Exten", target)]))
  }

  package func divert(_ call: Call, to target: String) async throws(CommandRefusal) {
    guard call.answeredAt == nil, let caller = live(call).first(where: { $0.role == .caller }) else {
      throw CommandRefusal(
        .notNow, "not-ringing", "Nothing rings that could be diverted.", remedy: "Transfer a call that is answered.")
    }
    try await mustExist(target)
    try await perform(
      AMIAction(
        "Redirect",
        [("Channel", caller.channel), ("Context", source.config.dialContext), ("Exten", target), ("Priority", "1")]))
  }

  package func route(_ call: Call, to target: String, timeout: Duration) async throws(CommandRefusal) {
    throw CommandRefusal(
      .notSupported, "not-supported", "Asterisk's manager interface cannot add a telephone to those that ring.",
      remedy: "Divert the call, or dial a ring group.")
  }

  package func attendedTransfer(_ call: Call, to target: String?, consultation: Call?) async throws(CommandRefusal) {
    if let consultation { return try await join(call, consultation) }
    try mustTalk(call)
    let (agent, _) = try pair(call)
    guard let target else {
      throw CommandRefusal(.badTarget, "no-target", "An attended transfer needs a target or a consultation call.")
    }
    try await mustExist(target)
    try await perform(
      AMIAction("Atxfer", [("Channel", agent.channel), ("Context", source.config.dialContext), ("Exten", target)]))
  }

  /// Whoever is on the line in both calls hands one party over to the other and leaves.
  private func join(_ call: Call, _ consultation: Call) async throws(CommandRefusal) {
    let (here, there) = (
      live(call).filter { $0.state == .answered }, live(consultation).filter { $0.state == .answered }
    )
    guard let agent = here.last(where: { leg in there.contains { $0.party == leg.party } }),
      let agentThere = there.first(where: { $0.party == agent.party }),
      let customer = here.first(where: { $0.id != agent.id }),
      let other = there.first(where: { $0.id != agentThere.id })
    else {
      throw CommandRefusal(
        .notNow, "not-connected", "Nobody is connected in both calls.",
        remedy: "Wait until the consulted party has answered.")
    }
    source.announce(.joinCommanded(leg: customer.id, with: other.id, by: agent.party))
    try await perform(AMIAction("Bridge", [("Channel1", customer.channel), ("Channel2", other.channel)]))
    for left in [agent, agentThere] {
      // Gone already, most often: its bridge ended with the others' leaving it.
      try? await perform(AMIAction("Hangup", [("Channel", left.channel), ("Cause", "16")]))
    }
  }

  package func hold(_ call: Call) async throws(CommandRefusal) {
    let context = try holdContext()
    try mustTalk(call, evenHeld: false)
    let (agent, customer) = try pair(call)
    source.announce(.holdCommanded(call.id, isRefused: false))
    do throws(CommandRefusal) {
      try await redirect(customer, agent, to: context)
    } catch {
      source.announce(.holdCommanded(call.id, isRefused: true))
      throw error
    }
  }

  private func redirect(_ customer: Leg, _ agent: Leg, to context: String) async throws(CommandRefusal) {
    try await perform(
      AMIAction(
        "Redirect",
        [
          ("Channel", customer.channel), ("Context", context), ("Exten", "s"), ("Priority", "1"),
          ("ExtraChannel", agent.channel), ("ExtraContext", context), ("ExtraExten", "wait"), ("ExtraPriority", "1"),
        ]))
  }

  package func resume(_ call: Call) async throws(CommandRefusal) {
    guard call.state == .held else { throw CommandRefusal(.notNow, "not-held", "The call is not held.") }
    guard !call.legs.contains(where: \.isHolding) else {
      throw CommandRefusal(.notNow, "held-by-telephone", "A telephone holds the call, and only it can take it back.")
    }
    _ = try holdContext()
    let (agent, customer) = try pair(call)
    try await perform(
      AMIAction("Bridge", [("Channel1", customer.channel), ("Channel2", agent.channel), ("Tone", "no")]))
  }

  package func park(_ call: Call, slot: String?) async throws(CommandRefusal) {
    try mustTalk(call)
    let (agent, customer) = try pair(call)
    var headers = [
      ("Channel", customer.channel), ("TimeoutChannel", agent.channel), ("AnnounceChannel", agent.channel),
    ]
    if let slot {
      try await mustBeFree(slot)
      headers.append(("ParkingSpace", slot))
    }
    try await perform(AMIAction("Park", headers))
  }

  package func answer(_ call: Call) async throws(CommandRefusal) {
    throw CommandRefusal(
      .notSupported, "not-supported", "Asterisk's manager interface cannot answer a ringing telephone.",
      remedy: "Let the telephone answer by itself: set an auto-answer header in the dialplan.")
  }

  private func holdContext() throws(CommandRefusal) -> String {
    if let context = source.config.holdContext { return context }
    throw CommandRefusal(
      .notSupported, "hold-not-set-up", "Asterisk has no hold action; the agent needs a dialplan context for it.",
      remedy: """
        Add to extensions_custom.conf (FreePBX) or extensions.conf: \
        [sidetone-hold] / exten => s,1,MusicOnHold() / exten => wait,1,Wait(86400) \
        then reload the dialplan and set [asterisk] hold_context = sidetone-hold.
        """)
  }

  // MARK: Looking before leaping

  /// What takes people out of their talk needs them in one.
  /// - Parameter evenHeld: held by a telephone they are still in it, and can be taken out.
  private func mustTalk(_ call: Call, evenHeld: Bool = true) throws(CommandRefusal) {
    switch call.state {
    case .parked: throw CommandRefusal(.notNow, "parked", "The call is parked.", remedy: "Retrieve it first.")
    case .held where call.legs.contains(where: \.isHolding):
      if evenHeld { return }
      throw CommandRefusal(
        .notNow, "held-by-telephone", "A telephone holds the call.", remedy: "Only it can take the call back.")
    case .held: throw CommandRefusal(.notNow, "held", "The call is held.", remedy: "Resume it first.")
    case .dialing, .ringing, .queued, .active, .ended: break
    }
  }

  /// A target that the dialplan does not know would lose the customer. Where the account may not ask, Asterisk decides.
  private func mustExist(_ extension: String) async throws(CommandRefusal) {
    let question = "DIALPLAN_EXISTS(\(source.config.dialContext),\(`extension`),1)"
    guard case .answered(let answer) = await source.perform(AMIAction("Getvar", [("Variable", question)])),
      answer.isSuccess, answer["Value"] == "0"
    else { return }
    throw CommandRefusal(
      .badTarget, "unknown-extension",
      "The dialplan has no extension \(`extension`) in context \(source.config.dialContext).",
      remedy: "Check the number, or set [asterisk] dial_context to the context that people dial from.")
  }

  /// Asterisk would park the call in another slot, or nowhere (res_parking, `parking_lot_get_space`).
  private func mustBeFree(_ slot: String) async throws(CommandRefusal) {
    guard let number = Int(slot) else {
      throw CommandRefusal(.badTarget, "unknown-slot", "A parking slot is a number.")
    }
    if case .answered(let lots) = await source.perform(AMIAction("Parkinglots"), isList: true), lots.isSuccess {
      let ranges = zip(lots.values("StartSpace"), lots.values("StopSpace")).map { "\($0)–\($1)" }
      let isKnown = zip(lots.values("StartSpace"), lots.values("StopSpace")).contains { first, last in
        number >= Int(first) ?? .max && number <= Int(last) ?? .min
      }
      if !isKnown, !ranges.isEmpty {
        throw CommandRefusal(.badTarget, "unknown-slot", "Parking slots are \(ranges.joined(separator: ", ")).")
      }
    }
    guard case .answered(let parked) = await source.perform(AMIAction("ParkedCalls"), isList: true),
      parked.values("ParkingSpace").contains(slot)
    else { return }
    throw CommandRefusal(
      .notNow, "slot-taken", "Somebody is parked in \(slot).", remedy: "Leave out the slot for any free one.")
  }

  // MARK: Which channels

  private static let gone = CommandRefusal(.notNow, "call-moved-on", "The call's channels are gone.")

  private func device(_ name: String) -> String {
    name.contains("/") ? name : source.config.deviceTemplate.replacing("{}", with: name)
  }

  private func live(_ call: Call) -> [Leg] { call.legs.filter { $0.state != .ended && !$0.channel.isEmpty } }

  /// Who acts and who is acted on: the extension that took or placed the call, and the party it talks with.
  private func pair(_ call: Call) throws(CommandRefusal) -> (agent: Leg, other: Leg) {
    let legs = live(call).filter { $0.state == .answered }
    guard legs.count >= 2 else {
      throw CommandRefusal(.notNow, "not-connected", "The call has no two connected parties now.")
    }
    let extensions = legs.filter { $0.party.kind == .extension }
    let agent = extensions.last { $0.role != .caller } ?? extensions.last ?? legs[1]
    guard let other = legs.first(where: { $0.id != agent.id }) else { throw Self.gone }
    return (agent, other)
  }

  // MARK: Asking

  private func perform(_ action: AMIAction) async throws(CommandRefusal) {
    switch await source.perform(action) {
    case .answered(let response):
      if !response.isSuccess { throw Self.refusal(action.name, response.message) }
    case .notSent:
      throw CommandRefusal(
        .unavailable, "link-down", "The link to Asterisk is down; nothing was sent.",
        remedy: "Try again when /relay/health shows the link up.")
    case .noAnswer:
      throw CommandRefusal(
        .outcomeUnknown, "outcome-unknown", "Asterisk took the command and did not answer; it may still carry it out.",
        remedy: "Look at /relay/active-calls before sending it again.")
    }
  }

  /// Asterisk's sentences as of release 22 (manager.c and the modules; Fixtures/asterisk/originate-failures).
  private static func refusal(_ action: String, _ message: String) -> CommandRefusal {
    let text = message.asciiLowercased
    if text.contains("permission denied") {
      return CommandRefusal(
        .notSupported, "not-permitted", "The manager account may not do \(action).",
        remedy: "Set `write=call,agent,reporting,originate` for the account in manager.conf and reconnect.")
    }
    if text.contains("extension does not exist") || text.contains("invalid extension") {
      return CommandRefusal(.badTarget, "unknown-extension", "The dialplan has no such extension.")
    }
    if text.contains("channel") || text.contains("bridge") {
      return CommandRefusal(.notNow, "call-moved-on", "Asterisk says: \(message)")
    }
    return CommandRefusal(.notNow, "refused-by-pbx", "Asterisk says: \(message)")
  }

  // MARK: Capabilities

  /// From ListCommands, which names the actions this account may use; asked at most once a minute.
  private func actions() async -> Set<String>? {
    if let allowed, Moment.now() - allowedAt < .seconds(60) { return allowed }
    guard case .answered(let response) = await source.perform(AMIAction("ListCommands")), response.isSuccess else {
      return nil
    }
    allowed = Set(response.headers.map { $0.key.asciiLowercased })
    allowedAt = Moment.now()
    return allowed
  }

  package func capabilities() async -> [Capability] {
    let allowed = await actions()
    func capability(_ name: String, _ action: String) -> Capability {
      let remedy = "Give the account the class of \(action) in manager.conf: write=call,agent,reporting,originate."
      let has = allowed.map { $0.contains(action.asciiLowercased) }
      return Capability(
        name, has == nil ? .unknown : has == true ? .available : .unavailable, source: "ListCommands",
        remedy: has == true ? nil : has == nil ? "The link to Asterisk is down." : remedy)
    }
    let events = Capability(
      "events", source.isUp ? .available : .unavailable, source: "link",
      remedy: source.isUp ? nil : "The link to Asterisk is down.")
    let snapshot =
      source.denied.isEmpty
      ? capability("snapshot", "CoreShowChannels")
      : Capability(
        "snapshot", .limited, source: "denied actions",
        remedy: "Denied: \(source.denied.sorted().joined(separator: ", ")).")
    let hold =
      source.config.holdContext == nil
      ? Capability(
        "hold", .unavailable, source: "configuration",
        remedy: "Set [asterisk] hold_context; a refused hold says which dialplan lines to add.")
      : capability("hold", "Redirect")
    return [
      events, snapshot, capability("originate", "Originate"), capability("hang_up", "Hangup"),
      capability("blind_transfer", "BlindTransfer"), capability("attended_transfer", "Atxfer"), hold,
      capability("divert", "Redirect"),
      Capability("route", .unavailable, source: "protocol", remedy: "AMI has no such action; divert the call."),
      capability("park", "Park"),
      Capability("answer", .unavailable, source: "protocol", remedy: "AMI has no answer action."),
    ]
  }
}

extension AsteriskCommands: CallCommands {}
