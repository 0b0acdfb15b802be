import Basics
import Foundation
import Glibc
import JSON
import Loop
import Stagecraft
import TestSupport
import Testing
import WebSocket

@Suite(.serialized) struct AgentTests {
  init() { _ = LoopThread.isRunning }

  @Test func theAgentHasTheThreadsThatItsPageLists() throws {
    let stage = try Stage(rate: 20)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    for _ in 0..<20 { _ = Client.get(agent.port, "/relay/call-history", key: key) }
    let folder = "/proc/\(agent.pid)/task"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      .compactMap { try? String(contentsOfFile: "\(folder)/\($0)/comm", encoding: .utf8).trimmed }
    #expect(Set(names) == ["sidetone", "journal", "state", "worker"])
    #expect(names.count == 4)
  }

  @Test func aSignalEndsItCleanlyAndTheClientsAreTold() async throws {
    try await endIt()
  }

  @LoopActor private func endIt() async throws {
    let stage = try Stage(rate: 5)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let stream = try LoopStream.connect(host: "127.0.0.1", port: agent.port)
    let code: UInt16 = try await eventually("the goodbye") { done in
      WebSocketClient.open(stream, host: "test", target: "/relay/ws", headers: [("Authorization", "Bearer \(key)")]) {
        result in
        guard case .success(let session) = result else { return done(0) }
        session.receive(onEnd: { code, _ in done(code) })
        kill(agent.pid, SIGTERM)
      }
    }
    #expect(code == 1001)
    agent.kill(SIGTERM)
    #expect(agent.exitCode == 0)
  }

  @Test func aRevokedKeyEndsItsConnections() async throws { try await revokeIt() }

  @LoopActor private func revokeIt() async throws {
    let stage = try Stage(rate: 5)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let id = try #require(
      try RunningProgram.run(["keys", "list", "--config", stage.configPath]).text.split(separator: " ").first.map(
        String.init))
    let stream = try LoopStream.connect(host: "127.0.0.1", port: agent.port)
    let code: UInt16 = try await eventually("the revocation") { done in
      WebSocketClient.open(stream, host: "test", target: "/relay/ws", headers: [("Authorization", "Bearer \(key)")]) {
        result in
        guard case .success(let session) = result else { return done(0) }
        session.receive(onEnd: { code, _ in done(code) })
        _ = try? RunningProgram.run(["keys", "revoke", id, "--config", stage.configPath])
      }
    }
    #expect(code == 1008)
    #expect(Client.get(agent.port, "/relay/active-calls", key: key).status == 401)
  }

  @Test func aClientThatDoesNotReadIsClosedWithAReasonAndResumes() async throws { try await beSlow() }

  @LoopActor private func beSlow() async throws {
    let stage = try Stage(rate: 150, pace: 0.05, more: "[relay]\nclient_queue_bytes = 65536")
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let stream = try LoopStream.connect(host: "127.0.0.1", port: agent.port)
    let reason: String = try await eventually("the slow client's end", within: 200) { done in
      WebSocketClient.open(stream, host: "test", target: "/relay/ws", headers: [("Authorization", "Bearer \(key)")]) {
        result in
        guard case .success(let session) = result else { return done("refused") }
        session.receive(onEnd: { code, reason in done("\(code) \(reason)") })
        // Long enough, on most machines, for its queue and the kernel's to fill; where not, once more.
        @LoopActor func rest() {
          session.pauseReading()
          LoopActor.loop.after(.seconds(15)) {
            session.resumeReading()
            LoopActor.loop.after(.seconds(40), rest)
          }
        }
        rest()
      }
    }
    #expect(reason.hasPrefix("4008 resume after="), "\(reason)")
    let after = try #require(Int64(reason.dropFirst("4008 resume after=".count)))
    #expect(after > 0)
    let listener = FeedListener(after: after)
    _ = try await eventually("the resumed feed") { (done: @escaping @LoopActor (Bool) -> Void) in
      listener.listen(agent.port, key: key, cut: 50) { done(true) }
    }
    #expect(listener.gaps == 0 && listener.last == after + 50)
  }

  @Test(arguments: ["/relay/events?after=", "/relay/ws?after="])
  func aPositionBeyondAllIsSaidToBeLost(_ target: String) throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    for position in [Int64.max, Int64.max - 1, Int64(1) << 62] {
      let status = Client.get(agent.port, "\(target)\(position)", key: key).status
      #expect([410, 426].contains(status))
    }
    #expect(Client.get(agent.port, "/livez").status == 200)
  }

  /// What is glued to a handshake may end the session before anybody holds it.
  @Test(arguments: [[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8], [0x83, 0x80, 0, 0, 0, 0]] as [[UInt8]])
  func aClientThatLeavesWithItsHandshakeLeavesNothingBehind(_ frame: [UInt8]) throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let head =
      "GET /relay/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer \(key)\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    for _ in 0..<20 {
      #expect(Client.talk(agent.port, [UInt8](head.utf8) + frame).starts(with: "HTTP/1.1 101".utf8))
    }
    #expect(Client.get(agent.port, "/metrics").body.contains("sidetone_clients 0"))
  }

  @Test func aClientThatSaysItSendsNoMoreStillGetsItsAnswers() throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let request = "GET /relay/call-history HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(key)\r\n\r\n"
    for _ in 0..<20 {
      let answer = Client.talk(agent.port, Array((request + request).utf8), isHalfClosing: true)
      #expect(String(decoding: answer, as: UTF8.self).components(separatedBy: "HTTP/1.1 200").count == 3)
    }
  }

  @Test func aRefusalReachesAClientThatIsStillSending() throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let body = String(repeating: "x", count: 3 << 20)
    for _ in 0..<5 {
      #expect(Client.get(agent.port, "/relay/calls", method: "POST", body: body).status == 413)
    }
  }

  @Test func thousandsOfRequestsAtOnceAreAnsweredAsFastAsTheyAreRead() throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let request = Array("GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let all = Array(repeating: request, count: 1000).flatMap(\.self)
    let answer = String(decoding: Client.talk(agent.port, all, isHalfClosing: true), as: UTF8.self)
    #expect(answer.components(separatedBy: "HTTP/1.1 200 OK").count == 1001)
  }

  @Test func badInputIsNamed() throws {
    let stage = try Stage(rate: 1)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    for (target, field) in [
      ("/relay/events?after=x", "after"), ("/relay/events?limit=0", "limit"), ("/relay/events?limit=1001", "limit"),
      ("/relay/call-history?start=yesterday", "start"),
      ("/relay/call-history?direction=up", "direction"), ("/relay/call-history?next=1", "next"),
      ("/relay/call-history?end=2026-02-30", "end"),
    ] {
      let answer = Client.get(agent.port, target, key: key)
      #expect(answer.status == 400 && answer.body.contains("\"fields\":{\"\(field)\""), "\(target): \(answer)")
    }
    for (body, status, field) in [
      ("{\"from\":\"201\"}", 400, "to"), ("{\"from\":\"201\",\"to\":\"2;System(x)\"}", 400, "to"),
      ("{\"from\":5,\"to\":\"1\"}", 400, "from"),
      ("{\"from\":\"201\",\"to\":\"202\",\"timeout_secs\":0}", 400, "timeout_secs"),
      ("{\"from\":\"201\",\"to\":\"202\",\"caller_id\":\"a\\nb\"}", 400, "caller_id"), ("nonsense", 400, "JSON"),
    ] {
      let answer = Client.get(agent.port, "/relay/calls", key: key, method: "POST", body: body)
      #expect(answer.status == status && answer.body.contains(field), "\(body): \(answer)")
    }
    #expect(
      Client.get(agent.port, "/relay/calls/01a1fdde-e5f4-8f22-bd47-f4b37199f1f1", key: key, method: "DELETE").status
        == 404)
  }

  @Test func aCommandActsOnceHoweverOftenItIsSent() throws {
    let stage = try Stage(rate: 0.01, more: "dial_context = internal")
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    _ = try #require(Client.event(agent.port, key: key) { $0.contains("link.up") })
    let answer = Client.get(
      agent.port, "/relay/calls", key: key, method: "POST", body: "{\"from\":\"201\",\"to\":\"202\"}")
    #expect(answer.status == 202)
    let id = try #require(try JSONValue(parsing: Array(answer.body.utf8))["id"]?.string)
    #expect(Client.event(agent.port, key: key) { $0.contains("call.started") && $0.contains(id) } != nil)
    let isTalking = "\"\(id)\",\"direction\":\"internal\",\"state\":\"active\""
    #expect(Client.get(agent.port, "/relay/active-calls", key: key).body.contains(isTalking))
    #expect(Client.get(agent.port, "/relay/calls/\(id)/answer", key: key, method: "POST").status == 409)
    let hold = Client.get(agent.port, "/relay/calls/\(id)/hold", key: key, method: "POST")
    #expect(hold.status == 409 && hold.body.contains("hold-not-set-up") && hold.body.contains("MusicOnHold"))
    #expect(
      Client.get(
        agent.port, "/relay/calls/\(id)/transfer", key: key, method: "POST",
        body: "{\"kind\":\"sideways\",\"to\":\"1\"}"
      ).status == 400)
    #expect(Client.get(agent.port, "/relay/calls/\(id)", key: key, method: "DELETE").status == 202)
    #expect(Client.event(agent.port, key: key) { $0.contains("call.ended") && $0.contains(id) } != nil)
    #expect(!Client.get(agent.port, "/relay/active-calls", key: key).body.contains(id))
    #expect(Client.get(agent.port, "/relay/call-history", key: key).body.contains(id))
  }

  @Test func theCommandLineSaysWhatIsWrongWithItsArguments() throws {
    #expect(try RunningProgram.run([]).code == 64)
    #expect(try RunningProgram.run(["dance"]).code == 64)
    #expect(try RunningProgram.run(["tail", "--loud"]).code == 64)
    #expect(try RunningProgram.run(["replay"]).code == 64)
    #expect(try RunningProgram.run(["version"]).code == 0)
    #expect(try RunningProgram.run(["config", "check", "--config", "/nonexistent"]).code == 78)
    let stage = try Stage(rate: 1)
    #expect(try RunningProgram.run(["status", "--config", stage.configPath]).code == 69)
  }
}
