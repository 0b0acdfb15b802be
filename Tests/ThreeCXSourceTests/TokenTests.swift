import Basics
import JSON
import Loop
import Simulator
import TestSupport
import Testing
import ThreeCXSource

@Suite(.serialized) struct TokenTests {
  init() { _ = LoopThread.isRunning }

  @LoopActor static func client(_ server: ThreeCXServer, secret: String = "simulated") throws -> ThreeCXClient {
    var config = ThreeCXConfig()
    config.url = "http://127.0.0.1:\(server.port)"
    (config.clientID, config.clientSecret) = ("sidetone", Secret(secret))
    return try ThreeCXClient(config)
  }

  @LoopActor static func server(_ settings: ThreeCXServer.Settings = .init()) throws -> ThreeCXServer {
    let server = ThreeCXServer(world: ThreeCXWorld(), settings: settings)
    try server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    return server
  }

  @Test @LoopActor func twoHundredWhoAskAtOnceCostOneToken() async throws {
    let server = try Self.server()
    let client = try Self.client(server)
    _ = try await client.get("/callcontrol")
    for expected in [2, 3] {
      server.revokeToken()
      let answers: Int = try await eventually("all answers") { done in
        var (answers, left) = (0, 200)
        for _ in 0..<200 {
          LoopActor.begin {
            if (try? await client.get("/callcontrol"))?.array?.isEmpty == false { answers += 1 }
            left -= 1
            if left == 0 { done(answers) }
          }
        }
      }
      #expect(answers == 200)
      #expect(server.tokenRequests == expected)
    }
  }

  @Test @LoopActor func whoIsRefusedDoesNotAskAgainAtOnce() async throws {
    let server = try Self.server()
    let client = try Self.client(server, secret: "wrong")
    for _ in 0..<20 {
      await #expect(throws: ThreeCXFault.self) { try await client.get("/callcontrol") }
    }
    // The first pause is two seconds; on a machine that stalls, a second one may pass.
    #expect((1..<10).contains(server.tokenRequests))
  }

  /// 60 are minutes, 3600 are seconds; what the token itself says is shorter counts.
  @Test(arguments: [(60.0, 3600.0), (3600, 3600), (299, 17_940), (300, 300)])
  func aTokensLifeIsReadInItsUnit(_ stated: Double, _ seconds: Double) throws {
    let json = try JSONValue(parsing: Array("{\"access_token\":\"x\",\"expires_in\":\(stated)}".utf8))
    #expect(TokenReply(json, now: .now())?.lifetime == .seconds(seconds))
  }

  @Test func aTokensOwnTimesCountByThePBXsClock() throws {
    let claims = Base64.encodeURL(Array("{\"iat\":1000,\"exp\":1900}".utf8))
    let json = try JSONValue(parsing: Array("{\"access_token\":\"a.\(claims).b\",\"expires_in\":60}".utf8))
    let reply = try #require(TokenReply(json, now: Timestamp(microseconds: 1_700_000_000)))
    #expect(reply.lifetime == .seconds(900) && reply.clockOffset == -700)
  }
}
