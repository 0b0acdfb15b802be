// CallCommands on Asterisk. Channels are addressed by name and may be gone by the time an action arrives: that they do
// not exist is an answer, not a fault.

internal import Basics
package import CallModel
internal import Crypto
package import Loop

@LoopActor
package final class AsteriskCommands {
  let source: AsteriskSource
  /// Announces a call that is about to be, so that its id is known before its first event.
  private let expect: (@LoopActor (_ group: String, OriginateRequest) -> CallID)?
  var allowed: Set<String>?
  var allowedAt = Moment(nanoseconds: 0)

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
}

extension AsteriskCommands: CallCommands {}
