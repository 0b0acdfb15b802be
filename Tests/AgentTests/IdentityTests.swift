import Basics
import HTTP
import Identity
import Loop
import SQLite
import Store
import TestSupport
import Testing

@Suite(.serialized) struct IdentityTests {
  init() { _ = LoopThread.isRunning }

  private static func path() -> String { TemporaryDirectory.make() + "/state.db" }
  private static let tenant = UUID(high: 0x8000, low: 0x8000_0000_0000_0001)

  @LoopActor private func ring() async throws -> (KeyRing, Store) {
    let store = try await Store.open(path: Self.path())
    return (KeyRing(store: store), store)
  }

  private func request(_ headers: [(String, String)], path: String = "/relay/active-calls", query: String? = nil)
    -> HTTPRequest
  {
    var request = HTTPRequest(method: "GET", path: path)
    request.query = query
    request.headers = headers.map { (name: $0.0, value: $0.1) }
    return request
  }

  @LoopActor private func gate(_ ring: KeyRing, anonymous: Bool = false, perMinute: Int = 1000) -> Gate {
    Gate(keys: ring, allowsAnonymousRead: anonymous, requestsPerMinute: perMinute, queryCredentialPaths: ["/relay/ws"])
  }

  private func status(_ body: () throws(APIError) -> Caller?) -> Int {
    do {
      _ = try body()
      return 200
    } catch { return error.status }
  }

  @Test @LoopActor func aKeyOpensWhatItsScopesName() async throws {
    let (ring, _) = try await ring()
    let text = try await ring.create(name: "t", scopes: [.callsRead], tenant: Self.tenant).text.reveal()
    let gate = gate(ring)
    let bearer = [("Authorization", "Bearer \(text)")]
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
    let (ring, _) = try await ring()
    let text = try await ring.create(name: "t", scopes: [.eventsRead], tenant: Self.tenant).text.reveal()
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
    let (ring, _) = try await ring()
    let key = try await ring.create(name: "t", scopes: [.eventsRead], tenant: Self.tenant).key
    let ticket = try #require(ring.issueTicket(for: key.id))
    #expect(ring.redeem(ticket)?.id == key.id)
    #expect(ring.redeem(ticket) == nil)
  }

  @Test @LoopActor func aRevokedKeyIsDeadAtOnceAndStaysDead() async throws {
    let (ring, store) = try await ring()
    let (key, text) = try await ring.create(name: "t", scopes: [.callsRead], tenant: Self.tenant)
    var ended: [UUID] = []
    ring.onRevoked = { ended.append($0) }
    #expect(try await ring.revoke(key.id, of: UUID(high: 9, low: 9)) == false)
    #expect(ring.find(text.reveal()) != nil)
    #expect(try await ring.revoke(key.id, of: Self.tenant))
    #expect(ring.find(text.reveal()) == nil)
    #expect(ended == [key.id])
    let again = KeyRing(store: store)
    try await again.load()
    #expect(again.find(text.reveal()) == nil)
  }

  @Test @LoopActor func anExpiredKeyOpensNothing() async throws {
    let (ring, _) = try await ring()
    let text = try await ring.create(
      name: "t", scopes: [.callsRead], tenant: Self.tenant, expiresAt: .now().adding(seconds: -1)
    ).text
    #expect(ring.find(text.reveal()) == nil)
  }

  @Test @LoopActor func theStoreKeepsNoKeyInClear() async throws {
    let path = Self.path()
    let ring = KeyRing(store: try await Store.open(path: path))
    let text = try await ring.create(name: "t", scopes: [.callsRead], tenant: Self.tenant).text.reveal()
    let bytes = try Files.read(path) + ((try? Files.read(path + "-wal")) ?? [])
    #expect(bytes.firstRange(of: Array(text.dropFirst(10).utf8)) == nil)
  }

  @Test @LoopActor func nobodyIsAnonymousUnlessTheAdministratorSaysSo() async throws {
    let (ring, _) = try await ring()
    let open = gate(ring, anonymous: true)
    #expect(status { () throws(APIError) in try open.authorise(request([]), .right("calls:read"), peer: "x") } == 200)
    #expect(
      status { () throws(APIError) in try open.authorise(request([]), .right("calls:control"), peer: "x") } == 401)
    #expect(status { () throws(APIError) in try open.authorise(request([]), .right("admin"), peer: "x") } == 401)
  }

  @Test @LoopActor func metricsAreForTheHostItselfAndNotForWhatAProxyPasses() async throws {
    let (ring, _) = try await ring()
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
    #expect(!refused.isAllowed && refused.resetSeconds == 1)
    #expect(limiter.take(UUID(high: 2, low: 2), at: start).isAllowed)
    #expect(limiter.take(caller, at: start + .seconds(1)).isAllowed)
    #expect(!limiter.take(caller, at: start + .seconds(1)).isAllowed)
  }

  @Test @LoopActor func aRequestIsRememberedOverARestart() async throws {
    let path = Self.path()
    let caller = UUID(high: 3, low: 3)
    do {
      let store = try await Store.open(path: path)
      #expect(try await store.begin("k", of: caller, tenant: Self.tenant, request: [1]) == .new)
      #expect(try await store.begin("k", of: caller, tenant: Self.tenant, request: [1]) == .underWay)
      #expect(try await store.begin("k", of: caller, tenant: Self.tenant, request: [2]) == .mismatch)
      try await store.finish("k", of: caller, tenant: Self.tenant, status: 202, body: [9])
    }
    let store = try await Store.open(path: path)
    #expect(try await store.begin("k", of: caller, tenant: Self.tenant, request: [1]) == .done(status: 202, body: [9]))
    #expect(try await store.begin("k", of: UUID(high: 4, low: 4), tenant: Self.tenant, request: [1]) == .new)
  }
}
