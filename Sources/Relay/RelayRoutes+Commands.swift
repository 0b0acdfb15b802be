// Acting on calls over HTTP. Every refusal says what would change it.

internal import Basics
internal import CallModel
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension RelayRoutes {
  var commandRoutes: [Route] {
    let id = Route.Parameter("id", "string", "The call")
    let key = Route.Parameter("Idempotency-Key", "string", "Does it once, however often it is sent; kept for 24 h")
    func command(
      _ method: String, _ path: String, _ summary: String, takes: Schema? = nil,
      _ handler: @escaping @LoopActor @Sendable (RequestContext) async throws(APIError) -> HTTPReply
    ) -> Route {
      let parameters = path.contains("{id}") ? [id, key] : [key]
      return Route(
        method, path, summary, tag: "commands", access: .right(Scope.callsControl.rawValue), parameters: parameters,
        takes: takes, status: 202, gives: RelaySchema.accepted, handler: .later(handler))
    }
    return [
      command(
        "POST", "/relay/calls", "Ring one party, then connect it to another", takes: RelaySchema.originate, originate),
      command("DELETE", "/relay/calls/{id}", "Hang up", hangUp),
      command(
        "POST", "/relay/calls/{id}/transfer", "Transfer blind or attended", takes: RelaySchema.transfer, transfer),
      command(
        "POST", "/relay/calls/{id}/divert", "Send a ringing call to another telephone", takes: RelaySchema.divert,
        divert),
      command(
        "POST", "/relay/calls/{id}/route", "Ring another telephone as well", takes: RelaySchema.route, route),
      command("POST", "/relay/calls/{id}/hold", "Hold the talk", hold),
      command("POST", "/relay/calls/{id}/resume", "Take the talk back", resume),
      command("POST", "/relay/calls/{id}/park", "Park the other party", takes: RelaySchema.park, park),
      command("POST", "/relay/calls/{id}/answer", "Answer a ringing call", answer),
    ]
  }

  // MARK: Handlers

  private func originate(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let caller = try caller(context)
    // Its calls are the default tenant's: another's could neither see nor end what it placed.
    guard caller.tenant == TenantID.standard.uuid else {
      throw APIError(403, "not-your-tenant", "This PBX belongs to the default tenant; only its keys place calls on it.")
    }
    let body = try context.json()
    let request = OriginateRequest(
      from: try dialable(body, "from"), to: try dialable(body, "to"), callerID: try callerID(body),
      timeout: .seconds(try timeout(body)))
    let service = service
    return .response(
      try await service.once(context, caller) { () async throws(APIError) in
        let port = try service.commandPort()
        do throws(CommandRefusal) {
          let id = try await port.originate(request)
          service.placed(id, by: caller)
          return Self.accepted(id)
        } catch {
          throw Self.refused(error)
        }
      })
  }

  private func hangUp(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await act(context) { port, call throws(CommandRefusal) in try await port.hangUp(call) }
  }

  private func hold(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await act(context) { port, call throws(CommandRefusal) in try await port.hold(call) }
  }

  private func resume(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await act(context) { port, call throws(CommandRefusal) in try await port.resume(call) }
  }

  private func answer(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await act(context) { port, call throws(CommandRefusal) in try await port.answer(call) }
  }

  private func park(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let slot = context.request.body.isEmpty ? nil : try optionalDialable(try context.json(), "slot")
    return try await act(context) { port, call throws(CommandRefusal) in try await port.park(call, slot: slot) }
  }

  private func divert(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let target = try dialable(try context.json(), "to")
    return try await act(context) { port, call throws(CommandRefusal) in try await port.divert(call, to: target) }
  }

  private func route(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let body = try context.json()
    let (target, span) = (try dialable(body, "to"), Duration.seconds(try timeout(body)))
    return try await act(context) { port, call throws(CommandRefusal) in
      try await port.route(call, to: target, timeout: span)
    }
  }

  private func transfer(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let body = try context.json()
    let target = try optionalDialable(body, "to")
    switch body["kind"]?.string ?? "blind" {
    case "blind":
      guard let target else { throw .badField("to", "expected the number to transfer to") }
      return try await act(context) { port, call throws(CommandRefusal) in
        try await port.blindTransfer(call, to: target)
      }
    case "attended":
      let consultation = try consultation(body, context)
      guard target != nil || consultation != nil else {
        throw .badField("to", "expected the number to consult, or consult_call_id of a consultation that is under way")
      }
      return try await act(context) { port, call throws(CommandRefusal) in
        try await port.attendedTransfer(call, to: target, consultation: consultation)
      }
    default: throw .badField("kind", "expected blind or attended")
    }
  }

  private func consultation(_ body: JSONValue, _ context: RequestContext) throws(APIError) -> Call? {
    guard let id = body["consult_call_id"]?.string else { return nil }
    return try service.call(id, of: try caller(context))
  }

  // MARK: Helpers

  private func caller(_ context: RequestContext) throws(APIError) -> Caller {
    guard let caller = context.caller else { throw APIError(401, "no-credentials", "Missing authorization header") }
    return caller
  }

  private func act(
    _ context: RequestContext, _ body: @escaping (any CallCommands, Call) async throws(CommandRefusal) -> Void
  ) async throws(APIError) -> HTTPReply {
    let caller = try caller(context)
    let service = service
    return .response(
      try await service.once(context, caller) { () async throws(APIError) in
        let port = try service.commandPort()
        let call = try await service.placedCall(context.path["id"], of: caller)
        do throws(CommandRefusal) {
          try await body(port, call)
        } catch {
          throw Self.refused(error)
        }
        return Self.accepted(call.id)
      })
  }

  private static func accepted(_ id: CallID) -> HTTPResponse {
    .json(status: 202) { json in
      json.object { json in
        json.field("id", id.uuid)
        json.field("status", "accepted")
      }
    }
  }

  private static func refused(_ refusal: CommandRefusal) -> APIError {
    let status =
      switch refusal.kind {
      case .notSupported, .notNow: 409
      case .badTarget: 422
      case .unavailable: 503
      case .outcomeUnknown: 504
      }
    var error = APIError(status, refusal.code, refusal.message)
    if status == 503 { error.retryAfter = 5 }
    if let remedy = refusal.remedy { error.extras = [("remedy", .string(remedy))] }
    return error
  }

  /// What a telephone could dial; nothing that could mean more to a dialplan.
  private func dialable(_ body: JSONValue, _ name: String) throws(APIError) -> String {
    guard let text = try optionalDialable(body, name) else { throw .badField(name, "needed") }
    return text
  }

  private func optionalDialable(_ body: JSONValue, _ name: String) throws(APIError) -> String? {
    guard let value = body[name], value != .null else { return nil }
    guard let text = value.string else { throw .badField(name, "expected text") }
    let isFine =
      (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122: true
        case 35, 42, 43, 45, 46, 95: true
        default: false
        }
      }
    guard isFine else { throw .badField(name, "expected 1 to 64 of the digits, letters, + * # . - and _") }
    return text
  }

  private func callerID(_ body: JSONValue) throws(APIError) -> String? {
    guard let value = body["caller_id"], value != .null else { return nil }
    guard let text = value.string, text.utf8.count <= 100, text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else {
      throw .badField("caller_id", "expected up to 100 bytes of text without control characters")
    }
    return text
  }

  private func timeout(_ body: JSONValue) throws(APIError) -> Int {
    guard let value = body["timeout_secs"], value != .null else { return 30 }
    guard let seconds = value.int, (1...300).contains(seconds) else {
      throw .badField("timeout_secs", "expected 1 to 300")
    }
    return Int(seconds)
  }
}
