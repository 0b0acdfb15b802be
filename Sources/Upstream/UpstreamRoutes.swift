// Where events go: destinations made, changed, paused, tested, replayed to, and looked into.

internal import Basics
internal import CallModel
internal import Crypto
package import HTTP
internal import Identity
internal import JSON
package import Loop
package import SinkKit

@LoopActor
package struct UpstreamRoutes {
  let destinations: Destinations
  let ports: UpstreamPorts

  package init(destinations: Destinations, ports: UpstreamPorts) {
    (self.destinations, self.ports) = (destinations, ports)
  }

  typealias Handler = @LoopActor @Sendable (RequestContext) async throws(APIError) -> HTTPReply

  package var routes: [Route] { destinationRoutes + deliveryRoutes }

  private static let see = Access.right(Scope.destinationsRead.rawValue)
  private static let change = Access.right(Scope.destinationsWrite.rawValue)

  private func route(
    _ method: String, _ path: String, _ summary: String, parameters: [Route.Parameter] = [], takes: Schema? = nil,
    status: Int = 200, gives: Schema? = nil, _ handler: @escaping Handler
  ) -> Route {
    let id = path.contains("{id}") ? [Route.Parameter("id", "string", "The destination")] : []
    return Route(
      method, "/api/destinations" + path, summary, tag: "destinations",
      access: method == "GET" ? Self.see : Self.change, parameters: id + parameters, takes: takes, status: status,
      gives: gives, handler: .later(handler))
  }

  private var destinationRoutes: [Route] {
    [
      route("GET", "", "All destinations, with how far each has come", gives: UpstreamSchema.destinations, list),
      route(
        "POST", "", "Make a webhook destination; its secret is shown this once", takes: UpstreamSchema.new, status: 201,
        gives: UpstreamSchema.destination, create),
      route("GET", "/{id}", "One destination", gives: UpstreamSchema.destination, show),
      route(
        "PATCH", "/{id}", "Change what is named; the rest stays", takes: UpstreamSchema.change,
        gives: UpstreamSchema.destination, update),
      route("DELETE", "/{id}", "Remove it; what it has not had is noted in the loss ledger", status: 204, remove),
      route(
        "POST", "/{id}/pause", "Send nothing until it is resumed; events are kept", gives: UpstreamSchema.destination,
        pause),
      route(
        "POST", "/{id}/resume", "Go on where it was left, and try at once what waits for another attempt",
        gives: UpstreamSchema.destination, resume),
      route("POST", "/{id}/test", "Send one test event now", gives: UpstreamSchema.test, test),
      route(
        "POST", "/{id}/rotate-secret", "Sign with a new secret, shown this once; the old one goes along for a while",
        takes: UpstreamSchema.rotation, gives: UpstreamSchema.destination, rotate),
    ]
  }

  // MARK: Destinations

  private func list(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let couriers = destinations.all(of: try caller(context).tenant)
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in
            for courier in couriers { DestinationWire.write(courier, head: ports.head(), secret: nil, to: &json) }
          }
        }
      })
  }

  private func create(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let caller = try caller(context)
    let json = try context.json()
    for name in ["name", "url"] where json[name]?.string == nil { throw .badField(name, "needed") }
    var record = DestinationRecord(id: .random(), tenant: caller.tenant, name: "", url: "", at: .now())
    var body = DestinationBody(json, isNew: true)
    try body.read(into: &record, addressFault: ports.addressFault)
    let start = try await start(json["from"])
    let courier = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.create(record, from: start)
    }
    await note(context, "destination.create", courier)
    return answer(courier, status: 201, secret: ports.secret(courier.record))
  }

  /// `now`, `oldest`, or a time.
  private func start(_ value: JSONValue?) async throws(APIError) -> StartingPoint {
    switch value?.string {
    case nil, "now": return .now
    case "oldest": return .oldest
    case let text?:
      guard let time = Timestamp(rfc3339: text) else { throw .badField("from", "expected now, oldest or a time") }
      guard let position = await ports.position(time) else { throw Self.unreadable }
      return .after(Position(max(0, position.value - 1)))
    }
  }

  private func show(_ context: RequestContext) async throws(APIError) -> HTTPReply { answer(try courier(context)) }

  private func update(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let courier = try courier(context)
    var record = courier.record
    var body = DestinationBody(try context.json(), isNew: false)
    try body.read(into: &record, addressFault: ports.addressFault)
    record.updatedAt = .now()
    let changed = record
    try await Self.asking { () async throws(DestinationError) in try await self.destinations.update(changed) }
    await note(context, "destination.update", courier)
    return answer(courier)
  }

  private func remove(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let courier = try courier(context)
    let record = courier.record
    let (events, isAll) = await destinations.undelivered(courier)
    _ = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.remove(record.id, of: record.tenant)
    }
    if !events.isEmpty {
      let more = isAll ? "" : "; and those behind them, up to position \(ports.head())"
      await ports.noteLoss("destination \(record.name) was removed before it had these\(more)", events.count, events)
    }
    await note(context, "destination.remove", courier)
    return .response(HTTPResponse(status: 204))
  }

  private func pause(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await set(.paused, context)
  }

  private func resume(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try await set(.active, context)
  }

  private func set(_ kind: DestinationState.Kind, _ context: RequestContext) async throws(APIError) -> HTTPReply {
    let courier = try courier(context)
    let record = courier.record
    try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.set(kind, record.id, of: record.tenant, reason: "by the administrator")
    }
    await note(context, kind == .paused ? "destination.pause" : "destination.resume", courier)
    return answer(courier)
  }

  private func test(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let record = try courier(context).record
    let (receipt, event) = try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.test(record.id, of: record.tenant)
    }
    return .response(
      .json { json in
        json.object { json in
          json.field("event_id", event)
          json.field("outcome", receipt.verdict.name)
          json.field("status", receipt.code)
          json.field("reason", receipt.reason)
        }
      })
  }

  private func rotate(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let courier = try courier(context)
    let record = courier.record
    let body = context.request.body.isEmpty ? JSONValue.object([]) : try context.json()
    try Self.knowsOnly(["overlap_hours"], in: body)
    guard let hours = body["overlap_hours"] == nil ? 24 : body["overlap_hours"]?.double, (0...720).contains(hours)
    else {
      throw .badField("overlap_hours", "expected 0 to 720")
    }
    try await Self.asking { () async throws(DestinationError) in
      try await self.destinations.rotateSecret(record.id, of: record.tenant, overlapHours: hours)
    }
    await note(context, "destination.rotate", courier)
    return answer(courier, secret: ports.secret(courier.record))
  }

  // MARK: Reading, answering

  func caller(_ context: RequestContext) throws(APIError) -> Caller {
    guard let caller = context.caller else { throw APIError(401, "no-credentials", "Missing authorization header") }
    return caller
  }

  func courier(_ context: RequestContext) throws(APIError) -> Courier {
    let tenant = try caller(context).tenant
    guard let text = context.path["id"] else { throw .notFound("destination") }
    do throws(DestinationError) {
      if let id = UUID(text) { return try destinations.courier(id, of: tenant) }
      return try destinations.courier(named: text, of: tenant)
    } catch {
      throw Self.refusal(error)
    }
  }

  private func answer(_ courier: Courier, status: Int = 200, secret: Secret<String>? = nil) -> HTTPReply {
    .response(.json(status: status) { DestinationWire.write(courier, head: ports.head(), secret: secret, to: &$0) })
  }

  func note(_ context: RequestContext, _ action: String, _ courier: Courier, _ detail: String = "") async {
    let note = AuditNote(
      actor: context.caller?.name ?? "anonymous", action: action, target: courier.record.name, address: context.client,
      detail: detail)
    await ports.audit(note, courier.record.tenant)
  }

  static let unreadable = APIError.unavailable("journal-unreadable", "The journal cannot be read now.", retryAfter: 5)

  static func asking<T>(_ body: @LoopActor () async throws(DestinationError) -> T) async throws(APIError) -> T {
    do throws(DestinationError) { return try await body() } catch { throw refusal(error) }
  }

  private static func refusal(_ error: DestinationError) -> APIError {
    switch error {
    case .notFound: .notFound("destination")
    case .nameTaken: APIError(409, "name-taken", "A destination has this name.")
    case .fromFile:
      APIError(409, "from-file", "This destination stands in the configuration file; change it there and reload.")
    case .tooMany: APIError(409, "too-many", "A tenant has at most \(Destinations.perTenant) destinations.")
    case .replayUnderWay: APIError(409, "replay-under-way", "A replay to it is under way; wait for its end.")
    case .changing: APIError(409, "changed-elsewhere", "It is being changed at the same time; try again.")
    case .badField(let name, let reason): .badField(name, reason)
    case .unavailable: .unavailable("state-unavailable", "The state store cannot be used now.", retryAfter: 5)
    }
  }
}
