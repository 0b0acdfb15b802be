import Basics
import HTTP
import Identity
import Loop
import Store
import TestSupport
import Testing

@Suite(.serialized) struct GateTests {
  init() { _ = LoopThread.isRunning }

  private static let tenant = UUID(high: 0x8000, low: 0x8000_0000_0000_0001)
  private static let me = Visitor(name: "test", address: "::1")

  @LoopActor private func identity() async throws -> IdentityRoom { try await Rooms.identity(.sqlite) }

  @LoopActor private func key(_ identity: IdentityRoom, _ scopes: [Scope]) async throws -> String {
    try await identity.keys.create(name: "t", scopes: scopes, tenant: Self.tenant, by: Self.me).text.reveal()
  }

  private func request(_ headers: [(String, String)], path: String = "/relay/active-calls", query: String? = nil)
    -> HTTPRequest
  {
    var request = HTTPRequest(method: "GET", path: path)
    request.query = query
    request.headers = headers.map { (name: $0.0, value: $0.1) }
    return request
  }

  @LoopActor private func gate(_ identity: IdentityRoom, anonymous: Bool = false, perMinute: Int = 1000) -> Gate {
    Gate(
      identity: identity, allowsAnonymousRead: anonymous, requestsPerMinute: perMinute,
      queryCredentialPaths: ["/relay/ws"])
  }

  private func status(_ body: () throws(APIError) -> Caller?) -> Int {
    do {
      _ = try body()
      return 200
    } catch { return error.status }
  }

  @Test @LoopActor func aKeyOpensWhatItsScopesName() async throws {
    let ring = try await identity()
    let text = try await key(ring, [.callsRead])
    let gate = gate(ring)
    let bearer = [("Authorization", "bearer  \(text)")]
    #expect(
      status { () throws(APIError) in try gate.authorise(request(bearer), .right("calls:read"), peer: "1.2.3.4") }
        == 200)
    #expect(
      status { () throws(APIError) in try gate.authorise(request(bearer), .right("calls:control"), peer: "1.2.3.4") }
        == 403)
    #expect(
      status { () throws(APIError) in try gate.authorise(request([]), .right("calls:read"), peer: "127.0.0.1") } == 401)
    #expect(
      status { () throws(APIError) in
        try gate.authorise(request([("Authorization", "Bearer sk_wrong")]), .right("calls:read"), peer: "x")
      } == 401)
    #expect(
      status { () throws(APIError) in
        try gate.authorise(request([("Authorization", "Basic \(text)")]), .right("calls:read"), peer: "x")
      } == 401)
  }

  @Test @LoopActor func aKeyInTheAddressCountsOnlyWhereBrowsersNeedIt() async throws {
    let ring = try await identity()
    let text = try await key(ring, [.eventsRead])
    let gate = gate(ring)
    #expect(
      status { () throws(APIError) in
        try gate.authorise(request([], path: "/relay/ws", query: "api_key=\(text)"), .right("events:read"), peer: "x")
      } == 200)
    #expect(
      status { () throws(APIError) in
        try gate.authorise(request([], query: "api_key=\(text)"), .right("events:read"), peer: "x")
      } == 401)
  }

  @Test @LoopActor func aTicketWorksOnce() async throws {
    let ring = try await identity()
    let gate = gate(ring)
    let caller = Caller(kind: .key, id: UUID(high: 1, low: 1), tenant: Self.tenant, rights: ["events:read"])
    let ticket = try #require(ring.tickets.issue(to: caller))
    let opening = request([], path: "/relay/ws", query: "ticket=\(ticket)")
    #expect(status { () throws(APIError) in try gate.authorise(opening, .right("events:read"), peer: "x") } == 200)
    #expect(status { () throws(APIError) in try gate.authorise(opening, .right("events:read"), peer: "x") } == 401)
  }

  @Test @LoopActor func aKeyOfSomebodyWhoMustChangeTheirPasswordOpensNothing() async throws {
    let room = try await identity()
    let gate = gate(room)
    let user = try await room.accounts.create(
      "ada", role: .admin, password: Secret("violet-Tram-91"), tenant: Self.tenant, mustChange: false, by: Self.me)
    let key = try await room.renewUserKey(user, by: Self.me).reveal()
    func asked() -> Int {
      status { () throws(APIError) in
        try gate.authorise(request([("X-API-Key", key)]), .right("calls:read"), peer: "x")
      }
    }
    #expect(asked() == 200)
    try await room.accounts.setPassword(
      user.id, of: Self.tenant, to: Secret("another-Tram-92"), mustChange: true, by: Self.me)
    #expect(asked() == 403)
  }

  @Test @LoopActor func nobodyIsAnonymousUnlessTheAdministratorSaysSo() async throws {
    let ring = try await identity()
    let open = gate(ring, anonymous: true)
    #expect(status { () throws(APIError) in try open.authorise(request([]), .right("calls:read"), peer: "x") } == 200)
    #expect(
      status { () throws(APIError) in try open.authorise(request([]), .right("calls:control"), peer: "x") } == 401)
    #expect(status { () throws(APIError) in try open.authorise(request([]), .right("admin"), peer: "x") } == 401)
  }

  @Test @LoopActor func metricsAreForTheHostItselfAndNotForWhatAProxyPasses() async throws {
    let ring = try await identity()
    let gate = gate(ring)
    #expect(
      status { () throws(APIError) in try gate.authorise(request([]), .loopbackOr("metrics:read"), peer: "127.0.0.1") }
        == 200)
    #expect(
      status { () throws(APIError) in
        try gate.authorise(request([("X-Real-IP", "8.8.8.8")]), .loopbackOr("metrics:read"), peer: "127.0.0.1")
      } == 401)
    #expect(
      status { () throws(APIError) in try gate.authorise(request([]), .loopbackOr("metrics:read"), peer: "8.8.8.8") }
        == 401)
  }

  @Test func theRateIsABurstAndThenSteady() {
    var limiter = RateLimiter(perMinute: 60)
    let caller = UUID(high: 1, low: 1)
    let start = Moment(nanoseconds: 0)
    for _ in 0..<60 { #expect(limiter.take(caller, at: start).isAllowed) }
    let refused = limiter.take(caller, at: start)
    #expect(!refused.isAllowed && refused.allowance.resetSeconds == 1)
    #expect(limiter.take(UUID(high: 2, low: 2), at: start).isAllowed)
    #expect(limiter.take(caller, at: start + .seconds(1)).isAllowed)
    #expect(!limiter.take(caller, at: start + .seconds(1)).isAllowed)
  }
}
