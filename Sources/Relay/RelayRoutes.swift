// The relay's surface: decode, ask the service, encode.

internal import Basics
package import CallModel
package import HTTP
internal import Hub
internal import Identity
internal import JSON
package import Loop
internal import WebSocket

@LoopActor
package struct RelayRoutes {
  let service: RelayService
  private let history: @LoopActor @Sendable (HistoryQuery) async -> HistoryPage?
  private let issueTicket: @LoopActor @Sendable (Caller) -> String?

  package init(
    service: RelayService, history: @escaping @LoopActor @Sendable (HistoryQuery) async -> HistoryPage?,
    issueTicket: @escaping @LoopActor @Sendable (Caller) -> String?
  ) {
    (self.service, self.history, self.issueTicket) = (service, history, issueTicket)
  }

  /// Where a browser may put its credential into the address.
  package static let queryCredentialPaths: Set<String> = ["/relay/ws", "/relay/events"]

  package var routes: [Route] { readRoutes + commandRoutes }

  // MARK: Reading

  private var readRoutes: [Route] {
    let position = Route.Parameter("after", "integer", "Continue behind this position")
    let limit = Route.Parameter("limit", "integer", "At most this many, 1 to 1000")
    return [
      Route(
        "GET", "/relay/active-calls", "The calls that are open now, and the position to continue from", tag: "calls",
        access: .right(Scope.callsRead.rawValue), gives: RelaySchema.activeCalls, handler: .now(activeCalls)),
      Route(
        "GET", "/relay/call-history", "One row for each ended call, newest first", tag: "calls",
        access: .right(Scope.historyRead.rawValue), parameters: Self.historyParameters, gives: RelaySchema.history,
        handler: .later(callHistory)),
      Route(
        "GET", "/relay/events", "Events by position: a page, or a stream of Server-Sent Events", tag: "events",
        access: .right(Scope.eventsRead.rawValue), parameters: [position, limit], gives: RelaySchema.events,
        handler: .later(events)),
      Route(
        "GET", "/relay/ws", "Events as they happen, over a WebSocket", tag: "events",
        access: .right(Scope.eventsRead.rawValue), parameters: [position], status: 101, handler: .now(webSocket)),
      Route(
        "POST", "/relay/ws-ticket", "A ticket that opens one WebSocket or stream within 30 s", tag: "events",
        access: .right(Scope.eventsRead.rawValue), status: 201, gives: RelaySchema.ticket, handler: .now(ticket)),
      Route(
        "GET", "/api/capabilities", "What works on this PBX, and what to do about the rest", tag: "health",
        access: .right(Scope.callsRead.rawValue), gives: RelaySchema.capabilities, handler: .later(capabilities)),
    ]
  }

  private static let historyParameters: [Route.Parameter] = [
    .init("start", "string", "From this time or date on"),
    .init("end", "string", "Up to this time, or to the end of this date"),
    .init("number", "string", "Any party's number"), .init("extension", "string", "An extension that took part"),
    .init("queue", "string", "The queue's name"), .init("direction", "string", "inbound, outbound or internal"),
    .init("disposition", "string", "How it ended"), .init("limit", "integer", "At most this many, 1 to 1000"),
    .init("next", "string", "The cursor of the page before"),
  ]

  private func activeCalls(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let tenant = context.caller?.tenant
    let calls = service.hub.activeCalls.filter { $0.tenant.uuid == tenant }.compactMap(\.call)
    return .response(
      .json { json in
        json.object { json in
          json.key("calls")
          json.array { json in for call in calls { json.raw(call) } }
          json.field("position", service.hub.head.value)
        }
      })
  }

  private func callHistory(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    guard let page = await history(try historyQuery(context)) else { throw Self.journalUnreadable }
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in for row in page.rows { Self.write(row.call, row.origin, to: &json) } }
          json.field("next", page.next.map { "\($0.started.microseconds)_\($0.call)" })
        }
      })
  }

  private static func write(_ call: [UInt8], _ origin: HistoryOrigin, to json: inout JSONWriter) {
    json.object { json in
      json.members(of: call)
      json.field("origin", origin.rawValue)
    }
  }

  /// What a request's filters ask for.
  package func historyQuery(_ context: RequestContext) throws(APIError) -> HistoryQuery {
    var page = HistoryQuery()
    page.tenant = TenantID(context.caller?.tenant ?? TenantID.standard.uuid)
    page.limit = try context.integer("limit", default: 100, in: 1...1000)
    page.from = try time(context, "start", addingDays: 0)
    page.until = try time(context, "end", addingDays: 1)
    page.number = context.parameter("number") ?? context.parameter("extension")
    page.queue = context.parameter("queue")
    page.direction = try choice(context, "direction", Direction.allCases.map(\.rawValue))
    page.disposition = try choice(context, "disposition", Disposition.allCases.map(\.rawValue))
    if let next = context.parameter("next") {
      let parts = next.split(separator: "_")
      guard parts.count == 2, let started = Int64(parts[0]), let id = UUID(parts[1]) else {
        throw .badField("next", "not a cursor of this list")
      }
      page.before = (Timestamp(microseconds: started), CallID(id))
    }
    return page
  }

  private func time(_ context: RequestContext, _ name: String, addingDays days: Int) throws(APIError) -> Timestamp? {
    guard let text = context.parameter(name), !text.isEmpty else { return nil }
    if let time = Timestamp(rfc3339: text) { return time }
    guard let date = Timestamp(localDate: text, addingDays: days) else {
      throw .badField(name, "expected a date (2026-11-20) or an RFC 3339 time (2026-11-20T12:00:00Z)")
    }
    return date
  }

  private func choice(_ context: RequestContext, _ name: String, _ choices: [String]) throws(APIError) -> String? {
    guard let text = context.parameter(name) else { return nil }
    guard choices.contains(text) else { throw .badField(name, "expected one of \(choices.joined(separator: ", "))") }
    return text
  }

  private static let journalUnreadable = APIError.unavailable(
    "journal-unreadable", "The journal cannot be read now.", retryAfter: 5)

  private func capabilities(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let found = await service.capabilities()
    return .response(
      .json { json in
        json.object { json in
          json.key("capabilities")
          json.array { json in
            for capability in found {
              json.object { json in
                json.field("name", capability.name)
                json.field("state", capability.state.rawValue)
                json.field("source", capability.source)
                json.field("remedy", capability.remedy)
              }
            }
          }
        }
      })
  }

  // MARK: Events

  private func events(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    if context.request.list("accept").contains(where: { $0.hasPrefix("text/event-stream") }) {
      return try eventStream(context)
    }
    let after = try after(context) ?? .start
    let limit = try context.integer("limit", default: 100, in: 1...1000)
    if !service.hub.isComplete(after: after), let lost = service.hub.lostBefore, context.parameter("after") != nil {
      throw Self.historyLost(after: after, oldest: Position(lost.value + 1))
    }
    guard await service.hub.isOurs(after) else {
      throw Self.historyLost(after: after, oldest: Position(service.hub.head.value + 1))
    }
    guard let page = await service.hub.page(after: after, limit: limit) else { throw Self.journalUnreadable }
    let tenant = context.caller?.tenant
    let entries = page.map(\.entry)
    let next = entries.count == limit ? entries.last?.position.description : nil
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in for entry in entries where entry.tenant.uuid == tenant { entry.writeNative(to: &json) } }
          json.field("next", next)
        }
      })
  }

  private static func historyLost(after: Position, oldest: Position) -> APIError {
    var error = APIError(
      410, "history-lost",
      after < oldest
        ? "Entries up to \(oldest.value - 1) are gone by retention. Continue after \(oldest.value - 1)."
        : "This journal never came that far: it is another, or came back from a backup. Continue after \(oldest.value - 1)."
    )
    error.extras = [("after", .int(after.value)), ("oldest", .int(oldest.value))]
    return error
  }

  /// The position asked for: `after`, or what a browser sends when it reconnects.
  private func after(_ context: RequestContext) throws(APIError) -> Position? {
    let header = context.request.header("last-event-id")
    guard let text = context.parameter("after") ?? header, !text.isEmpty else { return nil }
    guard let value = Int64(text), value >= 0 else { throw .badField("after", "expected a position, 0 or more") }
    return Position(value)
  }

  private func eventStream(_ context: RequestContext) throws(APIError) -> HTTPReply {
    if context.request.method == "HEAD" { return .response(HTTPResponse(contentType: "text/event-stream")) }
    let after = try after(context) ?? service.hub.head
    let (service, caller) = (service, context.caller)
    return .takeOver(head: RelayEventStream.head) { stream, _ in
      let events = RelayEventStream(stream, caller: caller, config: service.config)
      service.add(events)
      events.start(service.hub, tenant: TenantID(caller?.tenant ?? TenantID.standard.uuid), after: after)
    }
  }

  private func webSocket(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let after = try after(context) ?? service.hub.head
    let (head, chosen) = try WebSocketHandshake.accept(context.request, protocols: ["cloudevents.json"])
    let (service, caller) = (service, context.caller)
    return .takeOver(head: head) { stream, received in
      let session = WebSocketSession(stream, received: received)
      let dialect: Dialect = chosen == nil ? .relay : .native
      let socket = RelaySocket(session, caller: caller, dialect: dialect, config: service.config, after: after)
      service.add(socket)
      socket.start(service.hub, tenant: TenantID(caller?.tenant ?? TenantID.standard.uuid))
    }
  }

  private func ticket(_ context: RequestContext) throws(APIError) -> HTTPReply {
    guard let caller = context.caller, caller.id != nil, let ticket = issueTicket(caller) else {
      throw APIError(403, "no-ticket", "Tickets are for API keys and for people who signed in.")
    }
    return .response(
      .json(status: 201) { json in
        json.object { json in
          json.field("ticket", ticket)
          json.field("expires_in", 30)
        }
      })
  }
}
