import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// The agent beside a simulated 3CX whose frames are lost, doubled and swapped, whose socket closes, whose tokens are
/// revoked and which restarts.
@Suite(.serialized) struct ThreeCXTests {
  @Test func everyCallEndsOnceOverARealSocket() throws {
    let stage = try ThreeCXStage(
      "--rate", "40", "--pace", "0.1", "--calls", "120", "--drop", "0.01", "--double", "0.01", "--swap", "0.01",
      "--close-every", "0.9", "--revoke-every", "1.3")
    let (port, key) = (stage.agent.port, stage.key)
    var (begun, ended): (Set<String>, Set<String>) = ([], [])
    var twice = 0
    // Some calls come and go while the link is away. At the latest when no more are made, all that were seen are over.
    let last = Client.event(port, key: key) { text in
      guard let json = try? JSONValue(parsing: Array(text.utf8)), let type = json["type"]?.string,
        let subject = json["subject"]?.string, subject.hasPrefix("call/")
      else { return false }
      begun.insert(subject)
      if type == "call.ended", !ended.insert(subject).inserted { twice += 1 }
      return begun.count > 60 && begun == ended
    }
    print("\(begun.count) calls begun, \(ended.count) ended, \(twice) ended twice")
    #expect(last != nil && begun == ended && twice == 0)
  }

  /// Where Call Control is not allowed, the list of active calls is read instead.
  @Test func aListOfCallsIsBetterThanNothing() throws {
    let stage = try ThreeCXStage("--rate", "2", "--pace", "2", "--no-call-control")
    let (port, key) = (stage.agent.port, stage.key)
    let ended = Client.event(port, key: key) {
      $0.contains("call.ended") && $0.contains("\"disposition\":\"answered\"")
    }
    #expect(ended != nil)
    let health = Client.get(port, "/relay/health").body
    #expect(health.contains("threecx-list-only") && health.contains("\"state\":\"up\""), "\(health)")
    let made = Client.get(port, "/relay/calls", key: key, method: "POST", body: "{\"from\":\"138\",\"to\":\"139\"}")
    let id = try #require(try JSONValue(parsing: Array(made.body.utf8))["id"]?.string, "\(made)")
    #expect(Client.event(port, key: key) { $0.contains("call.started") && $0.contains(id) } != nil)
    #expect(Client.get(port, "/relay/calls/\(id)", key: key, method: "DELETE").status == 202)
    #expect(Client.event(port, key: key) { $0.contains("call.ended") && $0.contains(id) } != nil)
  }

  @Test func commandsAreCarriedOutOrRefusedClearly() throws {
    let stage = try ThreeCXStage("--rate", "0.001")
    let (port, key) = (stage.agent.port, stage.key)
    _ = try #require(Client.event(port, key: key) { $0.contains("link.up") })
    func post(_ path: String, _ body: String? = nil) -> (status: Int, body: String) {
      Client.get(port, "/relay/calls" + path, key: key, method: "POST", body: body)
    }
    let made = post("", "{\"from\":\"138\",\"to\":\"139\"}")
    #expect(made.status == 202)
    let id = try #require(try JSONValue(parsing: Array(made.body.utf8))["id"]?.string)
    #expect(Client.event(port, key: key) { $0.contains("call.leg.answered") && $0.contains(id) } != nil)
    let hold = post("/\(id)/hold")
    #expect(hold.status == 409 && hold.body.contains("not-supported") && hold.body.contains("remedy"))
    #expect(post("/\(id)/answer").status == 409)
    #expect(post("/\(id)/transfer", "{\"kind\":\"blind\",\"to\":\"137\"}").status == 202)
    let transferred = Client.event(port, key: key) { $0.contains("call.transferred") && $0.contains(id) }
    #expect(transferred?.contains("\"137\"") == true)
    #expect(post("", "{\"from\":\"777\",\"to\":\"139\"}").body.contains("unknown-extension"))
    #expect(Client.get(port, "/relay/calls/\(id)", key: key, method: "DELETE").status == 202)
    #expect(Client.event(port, key: key) { $0.contains("call.ended") && $0.contains(id) } != nil)
    let capabilities = Client.get(port, "/api/capabilities", key: key).body
    #expect(capabilities.contains("\"hold\"") && capabilities.contains("\"originate\""))
  }

  @Test(arguments: [
    ("client_id = nobody", "threecx-credentials"), ("url = http://127.0.0.1:1", "threecx-unreachable"),
  ])
  func whatIsWrongIsSaidWithItsRemedy(_ line: String, _ code: String) throws {
    let stage = try ThreeCXStage("--rate", "0.001", replacing: line)
    // The board is asked until the first attempt has failed.
    for _ in 0..<2000 {
      let health = Client.get(stage.agent.port, "/relay/health").body
      if health.contains(code) { return }
    }
    Issue.record("no \(code)")
  }
}
