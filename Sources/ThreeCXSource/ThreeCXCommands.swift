// CallCommands on 3CX: actions on the participants of the Call Control API. A participant that is gone by the time an
// action arrives is an answer, not a fault.

internal import Basics
package import CallModel
internal import HTTPClient
internal import Health
internal import JSON
package import Loop

@LoopActor
package final class ThreeCXCommands {
  private let source: ThreeCXSource
  /// Announces a call that is about to be, or gives the id of one that came before its answer.
  private let expect: @LoopActor (_ group: String, OriginateRequest) -> CallID

  package init(_ source: ThreeCXSource, expect: @escaping @LoopActor (_ group: String, OriginateRequest) -> CallID) {
    (self.source, self.expect) = (source, expect)
  }

  // MARK: Commands

  package func originate(_ request: OriginateRequest) async throws(CommandRefusal) -> CallID {
    if source.isListOnly { return try await makeByXAPI(request) }
    let seconds = max(1, request.timeout.nanoseconds / 1_000_000_000)
    source.expect(callerOn: request.from)
    let answer = try await act("/callcontrol/\(request.from.percentEncoded)/makecall", or: Self.noExtension) {
      json in
      json.field("destination", request.to)
      json.field("timeout", seconds)
    }
    guard let callID = answer["result"]?["callid"]?.int.flatMap({ Int(exactly: $0) }) else {
      throw Self.unnamed
    }
    return expect(source.group(callID), request)
  }

  package func hangUp(_ call: Call) async throws(CommandRefusal) {
    if source.isListOnly { return try await dropByXAPI(call) }
    let legs = live(call).sorted { ($0.role == .caller ? 0 : 1) < ($1.role == .caller ? 0 : 1) }
    guard !legs.isEmpty else { throw Self.gone }
    try await announcing(call) { () async throws(CommandRefusal) in try await drop(legs) }
  }

  private func drop(_ legs: [Leg]) async throws(CommandRefusal) {
    var isDone = false
    for leg in legs {
      do throws(CommandRefusal) {
        try await act(on: leg, "drop")
        isDone = true
      } catch  where error.kind == .notNow {
        continue
      }
    }
    if !isDone { throw Self.gone }
  }

  // MARK: Without Call Control

  private func makeByXAPI(_ request: OriginateRequest) async throws(CommandRefusal) -> CallID {
    let answer = try await act("/xapi/v1/Users/Pbx.MakeCall", or: Self.noExtension) { json in
      json.field("dn", request.from)
      json.field("destination", request.to)
    }
    guard let callID = answer["Result"]?["CallId"]?.int.flatMap({ Int(exactly: $0) }) else { throw Self.unnamed }
    return expect(source.group(callID), request)
  }

  private func dropByXAPI(_ call: Call) async throws(CommandRefusal) {
    guard let id = call.externalIDs["linkedid"]?.split(separator: "/").last.flatMap({ Int($0) }) else {
      throw Self.gone
    }
    try await announcing(call) { () async throws(CommandRefusal) in
      try await act("/xapi/v1/ActiveCalls(\(id))/Pbx.DropCall", or: Self.gone) { _ in }
    }
  }

  private func announcing(_ call: Call, _ hangUp: () async throws(CommandRefusal) -> Void) async throws(CommandRefusal)
  {
    source.announce(.hangUpCommanded(call.id, isRefused: false))
    do throws(CommandRefusal) { try await hangUp() } catch {
      if error.kind != .outcomeUnknown { source.announce(.hangUpCommanded(call.id, isRefused: true)) }
      throw error
    }
  }

  package func blindTransfer(_ call: Call, to target: String) async throws(CommandRefusal) {
    // A telephone that rings is diverted; one that talks hands its other party over.
    if call.answeredAt == nil, ringing(call) != nil { return try await divert(call, to: target) }
    guard let leg = live(call).last(where: { $0.state == .answered && $0.role != .caller }) ?? talker(call) else {
      throw Self.notTalking
    }
    try await act(on: leg, "transferto") { $0.field("destination", target) }
  }

  package func divert(_ call: Call, to target: String) async throws(CommandRefusal) {
    guard let leg = ringing(call) else { throw Self.notRinging }
    try await act(on: leg, "divert") { $0.field("destination", target) }
  }

  package func route(_ call: Call, to target: String, timeout: Duration) async throws(CommandRefusal) {
    guard let leg = ringing(call) ?? live(call).last(where: { $0.state == .answered && $0.role != .caller }) else {
      throw Self.gone
    }
    try await act(on: leg, "routeto") { json in
      json.field("destination", target)
      json.field("timeout", max(1, timeout.nanoseconds / 1_000_000_000))
    }
  }

  private func ringing(_ call: Call) -> Leg? { live(call).last { $0.state == .ringing } }

  private func talker(_ call: Call) -> Leg? { live(call).last { $0.state == .answered } }

  package func attendedTransfer(_ call: Call, to target: String?, consultation: Call?) async throws(CommandRefusal) {
    throw Self.unsupported(
      "attended transfer",
      "Use kind blind: the 3CX tries the target while the other party hears music, and returns it on failure."
    )
  }

  package func hold(_ call: Call) async throws(CommandRefusal) {
    throw Self.unsupported("hold", "Hold at the telephone; the Call Control API has no such action.")
  }

  package func resume(_ call: Call) async throws(CommandRefusal) {
    throw Self.unsupported("resume", "Resume at the telephone; the Call Control API has no such action.")
  }

  package func park(_ call: Call, slot: String?) async throws(CommandRefusal) {
    throw Self.unsupported("park", "Transfer to a park extension of the 3CX (SP0 to SP9) instead.")
  }

  package func answer(_ call: Call) async throws(CommandRefusal) {
    guard let leg = ringing(call) else { throw Self.notRinging }
    try await act(on: leg, "answer")
  }

  // MARK: Capabilities

  package func capabilities() async -> [Capability] {
    let isUp = source.isUp
    let link = "Call Control socket"
    func can(_ name: String, _ remedy: String? = nil) -> Capability {
      Capability(
        name, isUp ? .available : .unknown, source: link,
        remedy: isUp ? remedy : "Try again when /relay/health shows the link up.")
    }
    func cannot(_ name: String, _ remedy: String) -> Capability {
      Capability(name, .unavailable, source: "Call Control API", remedy: remedy)
    }
    return [
      can("events"), can("snapshot"), can("originate"), can("hang_up"), can("blind_transfer"), can("divert"),
      can("route"),
      Capability(
        "answer", isUp ? .limited : .unknown, source: link,
        remedy: "Only telephones with remote control (uaCSTA) and route points can be answered for."),
      cannot("attended_transfer", "Use a blind transfer; the 3CX returns the call when the target does not answer."),
      cannot("hold", "Hold at the telephone; the Call Control API has no such action."),
      cannot("park", "Transfer to a park extension of the 3CX (SP0 to SP9)."),
      cannot("hold_events", "The Call Control API does not tell of hold, mute, parking and conference."),
    ]
  }

  // MARK: Acting

  private func live(_ call: Call) -> [Leg] { call.legs.filter { $0.state != .ended && Self.key($0) != nil } }

  /// The participant behind a leg; nil for a line that has none.
  private static func key(_ leg: Leg) -> (dn: String, id: Int)? {
    let parts = leg.id.split(separator: "/")
    guard parts.count == 3, let id = Int(parts[2].prefix { $0 != "~" }) else { return nil }
    return (String(parts[1]), id)
  }

  private func act(
    on leg: Leg, _ action: String, _ body: (inout JSONWriter) -> Void = { _ in }
  ) async throws(CommandRefusal) {
    guard let (dn, id) = Self.key(leg) else { throw Self.gone }
    try await act("/callcontrol/\(dn.percentEncoded)/participants/\(id)/\(action)", or: Self.gone, body)
  }

  /// - Parameter missing: what a 404 means.
  @discardableResult
  private func act(
    _ path: String, or missing: CommandRefusal, _ body: (inout JSONWriter) -> Void
  ) async throws(CommandRefusal) -> JSONValue {
    let answer: JSONValue
    do throws(ThreeCXFault) { answer = try await source.client.post(path, body) } catch {
      throw Self.refusal(error, missing)
    }
    // A number in 3CX's types and a word in its documents; no word at all is success.
    let status = answer["finalstatus"] ?? answer["FinalStatus"]
    guard status == nil || status == .null || status?.int == 1 || status?.string?.asciiLowercased == "success" else {
      let reason =
        answer["reasontext"]?.string ?? answer["ReasonText"]?.string ?? answer["reason"]?.string ?? "no reason given"
      throw CommandRefusal(.notNow, "refused-by-pbx", "The 3CX did not do it: \(reason).")
    }
    return answer
  }

  private static func refusal(_ fault: ThreeCXFault, _ missing: CommandRefusal) -> CommandRefusal {
    switch fault {
    case .status(404, _, _): missing
    case .status(422, _, let message):
      CommandRefusal(
        .notSupported, "not-possible", "The 3CX cannot do this with this telephone. \(message)",
        remedy: "Use a telephone with remote control (uaCSTA), or a route point of the client.")
    case .status(424, _, _):
      CommandRefusal(
        .notSupported, "not-owned", "This call does not belong to the client's route point.",
        remedy: "Route the call to the client's route point first.")
    case .status(403, _, _):
      CommandRefusal(
        .notSupported, "not-allowed", "The 3CX does not let the client do this.",
        remedy: ThreeCXCondition.noCallControl.remedy)
    case .client(let failure) where failure.kind == .tooSlow:
      CommandRefusal(.outcomeUnknown, "no-answer", "The 3CX did not answer in time.")
    case .client, .refused, .noTokens, .status, .garbage:
      CommandRefusal(.unavailable, "link-down", "The 3CX cannot be asked now: \(fault).")
    }
  }

  private static let unnamed = CommandRefusal(
    .outcomeUnknown, "no-call-id", "The 3CX accepted the call and did not name it.",
    remedy: "Look at /relay/active-calls before trying again.")
  private static let gone = CommandRefusal(.notNow, "call-gone", "The call has ended.")
  private static let notTalking = CommandRefusal(.notNow, "not-connected", "Nobody of this call is connected.")
  private static let notRinging = CommandRefusal(.notNow, "not-ringing", "Nothing rings.")
  private static let noExtension = CommandRefusal(
    .badTarget, "unknown-extension", "The client may not place calls from this extension.",
    remedy: "List the extension for the client in Admin console → Integrations → API.")

  private static func unsupported(_ what: String, _ remedy: String) -> CommandRefusal {
    CommandRefusal(.notSupported, "not-supported", "A 3CX does not do \(what) for applications.", remedy: remedy)
  }
}

extension ThreeCXCommands: CallCommands {}
