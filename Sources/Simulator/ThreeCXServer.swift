// A 3CX to talk to: tokens, the Call Control REST API and its WebSocket, and the part of the XAPI that the agent asks.

internal import Basics
internal import Crypto
internal import HTTP
internal import JSON
package import Loop
internal import WebSocket

@LoopActor
package final class ThreeCXServer {
  package struct Settings: Sendable {
    package var clientID = "sidetone"
    package var clientSecret = "simulated"
    /// Seconds that a token holds; stated in minutes where the version is before 20.0.9.
    package var tokenSeconds = 3600
    package var statesMinutes = false
    /// Seconds that its clock is ahead.
    package var clockOffset = 0.0
    package var hasCallControl = true
    package var hasXAPI = true
    package init() {}
  }

  package let world: ThreeCXWorld
  package var settings: Settings
  package private(set) var tokenRequests = 0
  package private(set) var port = 0
  private var server: HTTPServer?
  private var token: (text: String, until: Moment)?
  private var sockets: [ObjectIdentifier: WebSocketSession] = [:]
  private var generator = SeededRandom(seed: 1)

  package init(world: ThreeCXWorld, settings: Settings = Settings()) {
    (self.world, self.settings) = (world, settings)
    world.onFrame = { [unowned self] frame in for socket in sockets.values { socket.send(.text, frame) } }
  }

  package func listen(at place: Listener.Place) throws {
    let server = HTTPServer(router: Router(routes))
    port = try server.listen(at: place)
    self.server = server
  }

  package func close() {
    closeSockets()
    server?.drain()
  }

  // MARK: Faults

  package var clientCount: Int { sockets.count }

  /// Closes every socket, as happens.
  package func closeSockets(_ code: UInt16 = 1006) {
    for socket in sockets.values { socket.close(code, "") }
    sockets = [:]
  }

  /// The token holds no longer, as when another client asked for one.
  package func revokeToken() { token = nil }

  /// The PBX goes down and comes up with nobody on the line.
  package func restart() {
    revokeToken()
    closeSockets()
    world.restart()
  }

  // MARK: Routes

  private typealias Handler = @LoopActor @Sendable (RequestContext) throws(APIError) -> HTTPReply

  private var routes: [Route] {
    [
      route("POST", "/connect/token", isOpen: true) { [unowned self] context throws(APIError) in try giveToken(context)
      },
      route("GET", "/callcontrol") { [unowned self] _ throws(APIError) in Self.json(world.snapshot()) },
      route("GET", "/callcontrol/ws") { [unowned self] context throws(APIError) in try socket(context) },
      route("GET", "/callcontrol/{dn}") { [unowned self] context throws(APIError) in
        Self.json(world.snapshot(of: try known(context)))
      },
      route("GET", "/callcontrol/{dn}/participants/{id}") { [unowned self] context throws(APIError) in
        Self.json(world.json(try part(context)))
      },
      route("POST", "/callcontrol/{dn}/makecall") { [unowned self] context throws(APIError) in try makeCall(context) },
      route("POST", "/callcontrol/{dn}/participants/{id}/{action}") { [unowned self] context throws(APIError) in
        try act(context)
      },
      route("POST", "/xapi/v1/Users/Pbx.MakeCall") { [unowned self] context throws(APIError) in
        try makeCall(from: body(context)?["dn"]?.string ?? "", context, isXAPI: true)
      },
      route("POST", "/xapi/v1/{call}/Pbx.DropCall") { [unowned self] context throws(APIError) in try dropCall(context)
      },
      route("GET", "/xapi/v1/{entity}") { [unowned self] context throws(APIError) in try xapi(context) },
    ]
  }

  private func route(_ method: String, _ path: String, isOpen: Bool = false, _ handler: @escaping Handler) -> Route {
    Route(
      method, path, "", tag: "3cx", access: .open,
      handler: .now { [unowned self] context throws(APIError) in
        if !isOpen { try check(context) }
        return try handler(context)
      })
  }

  private static func json(_ bytes: [UInt8], status: Int = 200) -> HTTPReply {
    .response(HTTPResponse(status: status, contentType: "application/json", body: bytes))
  }

  // MARK: Tokens

  private func giveToken(_ context: RequestContext) throws(APIError) -> HTTPReply {
    tokenRequests += 1
    let form = String(decoding: context.request.body, as: UTF8.self).split(separator: "&").map { pair in
      pair.split(separator: "=", maxSplits: 1).map { HTTPRequest.decoded($0) }
    }
    func value(_ name: String) -> String? { form.first { $0.first == name }?.last }
    guard value("client_id") == settings.clientID, value("client_secret") == settings.clientSecret,
      value("grant_type") == "client_credentials"
    else {
      return Self.json(
        Array("{\"error\":\"invalid_client\",\"error_description\":\"unknown client\"}".utf8), status: 401)
    }
    let text = makeToken()
    token = (text, Moment.now() + .seconds(settings.tokenSeconds))
    var json = JSONWriter()
    json.object { json in
      json.field("token_type", "Bearer")
      json.field("expires_in", settings.statesMinutes ? settings.tokenSeconds / 60 : settings.tokenSeconds)
      json.field("access_token", text)
      json.key("refresh_token")
      json.null()
    }
    return Self.json(json.bytes)
  }

  /// In the form of a JWT that nobody signed, with the times by this PBX's clock.
  private func makeToken() -> String {
    let now = Timestamp.now().adding(seconds: settings.clockOffset).microseconds / 1_000_000
    var json = JSONWriter()
    json.object { json in
      json.field("iat", now)
      json.field("exp", now + Int64(settings.tokenSeconds))
      json.field("jti", Hex.encode(Random.bytes(12)))
    }
    return "e30.\(Base64.encodeURL(json.bytes)).simulated"
  }

  private func check(_ context: RequestContext) throws(APIError) {
    guard let token, Moment.now() < token.until, context.request.header("authorization") == "Bearer \(token.text)"
    else {
      throw APIError(401, "unauthorized", "the token is not valid")
    }
    let isXAPI = context.request.path.hasPrefix("/xapi")
    if isXAPI ? !settings.hasXAPI : !settings.hasCallControl { throw APIError(403, "forbidden", "not licensed") }
  }

  // MARK: Call Control

  private func known(_ context: RequestContext) throws(APIError) -> String {
    guard let dn = context.path["dn"], world.kinds[dn] != nil else { throw .notFound("DN") }
    return dn
  }

  private func part(_ context: RequestContext) throws(APIError) -> ThreeCXWorld.Part {
    guard let id = context.path["id"].flatMap({ Int($0) }), let part = world.parts[id], part.dn == context.path["dn"]
    else { throw .notFound("participant") }
    return part
  }

  private func socket(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let (head, _) = try WebSocketHandshake.accept(context.request)
    return .takeOver(head: head) { [unowned self] stream, received in
      let socket = WebSocketSession(stream, received: received)
      if sockets.isEmpty { world.startCounting() }
      sockets[ObjectIdentifier(socket)] = socket
      socket.receive(onEnd: { [weak self] _, _ in self?.sockets[ObjectIdentifier(socket)] = nil })
    }
  }

  private func body(_ context: RequestContext) -> JSONValue? { try? JSONValue(parsing: context.request.body) }

  private func makeCall(_ context: RequestContext) throws(APIError) -> HTTPReply {
    try makeCall(from: try known(context), context, isXAPI: false)
  }

  /// `ActiveCalls(7)`.
  private func dropCall(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let digits = (context.path["call"] ?? "").filter(\.isNumber)
    let parts = world.parts.values.filter { String($0.callID) == digits }
    guard !parts.isEmpty else { throw .notFound("call") }
    for part in parts { world.remove(part.id) }
    return Self.json(Array("{}".utf8))
  }

  private func makeCall(from dn: String, _ context: RequestContext, isXAPI: Bool) throws(APIError) -> HTTPReply {
    guard world.kinds[dn] != nil else { throw .notFound("DN") }
    guard let target = body(context)?["destination"]?.string, !target.isEmpty else {
      throw APIError(422, "no-destination", "destination is missing")
    }
    let isInside = world.kinds[target] != nil
    let call = world.newCall()
    let caller = world.add(
      dn, "Dialing", in: call, with: isInside ? target : "10000", isInside ? "Wextension" : "Wexternalline",
      number: target)
    LoopActor.loop.after(.milliseconds(100)) { [self] in
      let callee = isInside ? world.add(target, "Ringing", in: call, with: dn, "Wextension") : caller
      guard target != ThreeCXWorld.unattended else { return }
      LoopActor.loop.after(.milliseconds(300)) { [self] in world.connect(callee, caller) }
    }
    if isXAPI { return Self.json(Array("{\"FinalStatus\":\"Success\",\"Result\":{\"CallId\":\(call)}}".utf8)) }
    return world.parts[caller].map { Self.json(result(of: $0)) } ?? Self.json(result(of: nil))
  }

  /// `finalstatus` stands as a number in 3CX's types and as a word in its documents; the word here.
  private func result(of part: ThreeCXWorld.Part?) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.field("finalstatus", "Success")
      json.field("reason", "NotSpecified")
      json.key("result")
      if let part { json.raw(world.json(part)) } else { json.null() }
      json.field("reasontext", "")
    }
    return json.bytes
  }

  private func act(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let part = try part(context)
    let others = world.parts.values.filter { $0.callID == part.callID && $0.id != part.id }
    switch context.path["action"] ?? "" {
    case "drop":
      world.remove(part.id)
      for other in others { world.remove(other.id) }
    case "answer":
      guard part.status == "Ringing" else { throw APIError(422, "not-possible", "it does not ring") }
      world.connect(part.id)
      for other in others where other.status == "Dialing" { world.connect(other.id) }
    case "divert", "transferto", "routeto":
      guard let target = body(context)?["destination"]?.string, world.kinds[target] != nil else {
        throw APIError(422, "no-destination", "there is no such DN")
      }
      let action = context.path["action"]
      if action == "routeto" {
        ring(target, beside: part)
      } else {
        move(part, to: target, isDivert: action == "divert")
      }
    default: throw .notFound("action")
    }
    return Self.json(result(of: part))
  }

  /// Another telephone rings; the first one stops when it is answered.
  private func ring(_ target: String, beside part: ThreeCXWorld.Part) {
    let new = world.add(
      target, "Ringing", in: part.callID, with: part.partyDN, part.partyKind, number: part.partyNumber)
    LoopActor.loop.after(.milliseconds(300)) { [self] in
      guard world.parts[new] != nil else { return }
      let callers = world.parts.values.filter { $0.callID == part.callID && $0.status == "Dialing" }.map(\.id)
      world.remove(part.id)
      for id in [new] + callers { world.connect(id) }
    }
  }

  private func move(_ part: ThreeCXWorld.Part, to target: String, isDivert: Bool) {
    let new = world.add(
      target, "Ringing", in: part.callID, with: part.partyDN, part.partyKind, number: part.partyNumber
    ) {
      if isDivert { $0.onBehalfOf = part.dn } else { $0.referredBy = part.dn }
    }
    world.remove(part.id)
    LoopActor.loop.after(.milliseconds(300)) { [self] in world.connect(new) }
  }

  // MARK: XAPI

  private func xapi(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let top = Int(context.parameter("$top") ?? "") ?? 50
    guard top <= 100 else { throw APIError(400, "top", "The limit of '100' for Top query has been exceeded.") }
    let skip = Int(context.parameter("$skip") ?? "") ?? 0
    var json = JSONWriter()
    switch context.path["entity"] ?? "" {
    case "SystemStatus":
      json.object { json in
        json.field("Version", "20.0.9.995")
        json.field("FQDN", "pbx.example.com")
        json.field("CallsActive", Set(world.parts.values.map(\.callID)).count)
        json.field("LicenseActive", true)
        json.field("ProductCode", "3CXENT")
      }
    case "Users": page(&json, extensions, skip, top)
    case "Queues": page(&json, world.kinds.filter { $0.value == "Wqueue" }.keys.sorted(), skip, top)
    case "ActiveCalls": activeCalls(&json)
    case "Peers": page(&json, world.kinds.keys.sorted(), skip, top)
    case "Trunks": page(&json, ["10000"], skip, top)
    default: throw .notFound("entity")
    }
    return Self.json(json.bytes)
  }

  private var extensions: [String] { world.kinds.filter { $0.value == "Wextension" }.keys.sorted() }

  private func page(_ json: inout JSONWriter, _ numbers: [String], _ skip: Int, _ top: Int) {
    json.object { json in
      json.field("@odata.count", numbers.count)
      json.key("value")
      json.array { json in
        for number in numbers.dropFirst(skip).prefix(top) {
          json.object { json in
            json.field("Id", (Int(number) ?? 0) + 1000)
            json.field("Number", number)
            json.field("DisplayName", "Person \(number)")
            json.field("IsRegistered", true)
            json.field("IsOnline", true)
            json.field("Type", world.kinds[number] == "Wqueue" ? "Queue" : "Extension")
          }
        }
      }
    }
  }

  /// One row a call, with display texts; a caller who waits in a queue shows as talking to it.
  private func activeCalls(_ json: inout JSONWriter) {
    let calls = Dictionary(grouping: world.parts.values, by: \.callID)
    json.object { json in
      json.key("value")
      json.array { json in
        for (id, parts) in calls.sorted(by: { $0.key < $1.key }) {
          guard let part = parts.min(by: { $0.id < $1.id }) else { continue }
          let isCaller = part.status == "Dialing" || parts.contains { $0.partyDN == part.dn }
          let other =
            part.partyKind == "Wexternalline" ? "\(part.partyDN) provider (\(part.partyNumber))" : part.partyDN
          json.object { json in
            json.field("Id", id)
            json.field("Caller", isCaller ? part.dn + " person" : other)
            json.field("Callee", isCaller ? other : part.dn + " person")
            json.field("Status", parts.contains { $0.status == "Connected" } ? "Talking" : "Routing")
          }
        }
      }
    }
  }
}
