// What became of deliveries, and sending them again.

internal import Basics
internal import CallModel
internal import HTTP
internal import JSON
internal import Loop
internal import SinkKit

extension UpstreamRoutes {
  var deliveryRoutes: [Route] {
    let (see, change) = (Access.right("destinations:read"), Access.right("destinations:write"))
    let id = Route.Parameter("id", "string", "The destination")
    func route(
      _ method: String, _ path: String, _ summary: String, _ parameters: [Route.Parameter], takes: Schema? = nil,
      status: Int = 200, gives: Schema, _ handler: @escaping Handler
    ) -> Route {
      Route(
        method, "/api/destinations/{id}" + path, summary, tag: "destinations",
        access: method == "GET" ? see : change, parameters: [id] + parameters, takes: takes, status: status,
        gives: gives, handler: .later(handler))
    }
    return [
      route(
        "GET", "/deliveries", "Events that are held for another attempt, or were set aside",
        [
          .init("state", "string", "held or aside"), .init("after", "integer", "Behind this position"),
          .init("limit", "integer", "1 to 1000"),
        ], gives: UpstreamSchema.deliveries, deliveries),
      route(
        "GET", "/log", "Attempts, the newest first",
        [
          .init("before", "integer", "From `next` of the page before"), .init("event", "string", "Of this event alone"),
          .init("limit", "integer", "About so many, 1 to 1000: what was noted together is told together"),
        ], gives: UpstreamSchema.log, log),
      route(
        "POST", "/replay", "Send events of the past again: by id, by time and type, or those set aside",
        [.init("Idempotency-Key", "string", "Does it once, however often it is sent; kept for 24 h")],
        takes: UpstreamSchema.replay, status: 202, gives: UpstreamSchema.replayed, replay),
      route(
        "POST", "/let-go", "Take events off the list of those set aside; noted in the loss ledger", [],
        takes: UpstreamSchema.letGo, gives: UpstreamSchema.count, letGo),
    ]
  }

  private func deliveries(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let record = try courier(context).record
    guard let state = OpenDelivery.State(rawValue: context.parameter("state") ?? "aside") else {
      throw .badField("state", "expected held or aside")
    }
    let after = try context.integer("after", default: 0, in: 0...Int.max)
    let limit = try context.integer("limit", default: 100, in: 1...1000)
    let rows = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.open(
        record.id, of: record.tenant, state: state, after: Position(Int64(after)), limit: limit)
    }
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in for row in rows { DestinationWire.write(row, to: &json) } }
        }
      })
  }

  private func log(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let record = try courier(context).record
    let limit = try context.integer("limit", default: 100, in: 1...1000)
    let before = try context.integer("before", default: Int.max, in: 0...Int.max)
    var about: (id: String, position: Position)?
    if let text = context.parameter("event") {
      guard let id = UUID(text) else { throw .badField("event", "expected an event's id") }
      guard let found = await ports.positions([EventID(id)]) else { throw Self.unreadable }
      guard let position = found.first else { throw .notFound("event") }
      about = (id.description, position)
    }
    let pages = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.log(
        of: record.id, tenant: record.tenant, before: Int64(before), about: about?.position, limit: limit)
    }
    return .response(Self.logPage(pages, of: about?.id, limit: limit))
  }

  /// Pages are told whole, so that the next begins where this ended.
  private static func logPage(_ pages: [(page: Int64, attempts: [UInt8])], of event: String?, limit: Int)
    -> HTTPResponse
  {
    var (rows, last): ([JSONValue], Int64?) = ([], nil)
    for page in pages where rows.count < limit {
      let attempts = (try? JSONValue(parsing: page.attempts))?.array ?? []
      rows += attempts.reversed().filter { event == nil || $0["event_id"]?.string == event }
      last = page.page
    }
    let isMore = pages.count == limit || last != pages.last?.page
    return .json { json in
      json.object { json in
        json.key("data")
        json.array { json in for row in rows { row.write(to: &json) } }
        json.field("next", isMore ? last : nil)
      }
    }
  }

  // MARK: Again

  private func replay(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, courier) = (try caller(context), try courier(context))
    let body = context.request.body.isEmpty ? JSONValue.object([]) : try context.json()
    let status = body["status"]?.string ?? (body["status"] == nil ? "all" : "")
    guard ["all", "aside"].contains(status) else { throw .badField("status", "expected all or aside") }
    let response = try await ports.once(context, caller) { () async throws(APIError) in
      if body["ids"] != nil { return try await self.replay(ids: body, to: courier) }
      return status == "aside"
        ? try await self.replayAside(body, courier) : try await self.replay(span: body, to: courier)
    }
    await note(context, "destination.replay", courier)
    return .response(response)
  }

  /// A field that says nothing here would be taken for a choice that was made.
  static func knowsOnly(_ names: Set<String>, in body: JSONValue) throws(APIError) {
    guard let members = body.members else { throw .badField("body", "expected an object") }
    guard let stranger = members.first(where: { !names.contains($0.0) })?.0 else { return }
    throw .badField(stranger, "not of use here; expected \(names.sorted().joined(separator: ", "))")
  }

  private func replay(ids body: JSONValue, to courier: Courier) async throws(APIError) -> HTTPResponse {
    try Self.knowsOnly(["ids"], in: body)
    let texts = body["ids"]?.array ?? []
    let ids = texts.compactMap { $0.string.flatMap { UUID($0) } }.map(EventID.init)
    guard !ids.isEmpty, ids.count == texts.count, ids.count <= 1000 else {
      throw .badField("ids", "expected 1 to 1000 event ids")
    }
    guard let positions = await ports.positions(ids) else { throw Self.unreadable }
    return try await again(positions, courier)
  }

  private func replayAside(_ body: JSONValue, _ courier: Courier) async throws(APIError) -> HTTPResponse {
    try Self.knowsOnly(["status"], in: body)
    let record = courier.record
    let count = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.sendAsideAgain(to: record.id, of: record.tenant)
    }
    return Self.replayed(count: count, until: nil)
  }

  private func again(_ positions: [Position], _ courier: Courier) async throws(APIError) -> HTTPResponse {
    let record = courier.record
    let count = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.sendAgain(positions, to: record.id, of: record.tenant)
    }
    return Self.replayed(count: count, until: nil)
  }

  private func replay(span body: JSONValue, to courier: Courier) async throws(APIError) -> HTTPResponse {
    try Self.knowsOnly(["from", "until", "types", "status"], in: body)
    guard let from = try await position(body, "from") else { throw .badField("from", "needed: a time or a position") }
    let until = try await position(body, "until") ?? Position(ports.head().value + 1)
    let last = min(Position(until.value - 1), ports.head())
    guard from <= last else { throw .badField("until", "there is nothing between from and until") }
    let types = body["types"]?.array?.compactMap(\.string) ?? []
    guard body["types"] == nil || body["types"]?.array != nil, types.count == body["types"]?.array?.count ?? 0,
      types.allSatisfy({ $0.utf8.allSatisfy { $0 > 32 && $0 != 44 } })
    else { throw .badField("types", "expected a list of types") }
    let replay = Replay(after: Position(max(0, from.value - 1)), until: last, types: types)
    try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.replay(replay, to: courier.record.id, of: courier.record.tenant)
    }
    return Self.replayed(count: nil, until: last)
  }

  /// A time, or a position as a number.
  private func position(_ body: JSONValue, _ name: String) async throws(APIError) -> Position? {
    guard let value = body[name], value != .null else { return nil }
    if let number = value.int { return Position(max(0, number)) }
    guard let time = value.string.flatMap({ Timestamp(rfc3339: $0) }) else {
      throw .badField(name, "expected an RFC 3339 time or a position")
    }
    if name == "from", time > .now() { throw .badField(name, "lies in the future") }
    guard let position = await ports.position(time) else { throw Self.unreadable }
    return position
  }

  private static func replayed(count: Int?, until: Position?) -> HTTPResponse {
    .json(status: 202) { json in
      json.object { json in
        json.field("count", count)
        json.field("until", until?.value)
      }
    }
  }

  private func letGo(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let courier = try courier(context)
    let body = context.request.body.isEmpty ? JSONValue.object([]) : try context.json()
    try Self.knowsOnly(["positions"], in: body)
    let positions = body["positions"].map { ($0.array ?? []).compactMap(\.int) }
    guard positions?.isEmpty != true, positions?.count == body["positions"]?.array?.count else {
      throw .badField("positions", "expected a list of positions; without it all are meant")
    }
    let events = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.letGo(
        positions?.map(Position.init), of: courier.record.id, tenant: courier.record.tenant)
    }
    if !events.isEmpty {
      await ports.noteLoss("let go by the administrator: \(courier.record.name)", events.count, events)
    }
    await note(context, "destination.let-go", courier, "\(events.count)")
    return .response(.json { json in json.object { $0.field("count", events.count) } })
  }
}
