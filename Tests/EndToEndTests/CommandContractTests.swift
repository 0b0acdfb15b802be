import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// What every PBX link owes to whoever commands it: done, and seen to be done, or refused with a remedy, as the
/// capabilities said.
@Suite(.serialized) struct CommandContractTests {
  enum PBX: String, CaseIterable, Sendable { case asterisk, threecx }

  /// An agent beside this PBX, and three extensions of it.
  private final class Host {
    let (port, key): (Int, String)
    let people: [String]
    /// Rings and is never answered.
    let unattended: String
    private let stage: AnyObject

    init(_ pbx: PBX) throws {
      switch pbx {
      case .asterisk:
        let stage = try Stage(rate: 0.001, more: "dial_context = internal")
        (port, key) = (try stage.startAgent().port, try stage.makeKey())
        (self.stage, people, unattended) = (stage, ["203", "204", "205"], "299")
      case .threecx:
        let stage = try ThreeCXStage("--rate", "0.001")
        (port, key) = (stage.agent.port, stage.key)
        (self.stage, people, unattended) = (stage, ["136", "137", "138"], "149")
      }
      _ = try #require(Client.event(port, key: key) { $0.contains("link.up") })
    }

    func post(_ path: String, _ body: String? = nil, headers: [(String, String)] = []) -> (status: Int, body: String) {
      Client.get(port, "/relay/calls" + path, key: key, method: "POST", body: body, headers: headers)
    }

    func sees(_ type: String, _ call: String, _ more: String = "") -> Bool {
      Client.event(port, key: key) {
        $0.contains("\"\(type)\"") && $0.contains(call) && (more.isEmpty || $0.contains(more))
      }
        != nil
    }

    /// A call between the first two that is answered.
    func talk() throws -> String {
      let made = post("", "{\"from\":\"\(people[0])\",\"to\":\"\(people[1])\"}")
      #expect(made.status == 202, "\(made)")
      let id = try #require(try JSONValue(parsing: Array(made.body.utf8))["id"]?.string)
      #expect(sees("call.started", id))
      return id
    }

    /// A call from the first that rings for ever.
    func ring() throws -> String {
      let made = post("", "{\"from\":\"\(people[0])\",\"to\":\"\(unattended)\"}")
      let id = try #require(try JSONValue(parsing: Array(made.body.utf8))["id"]?.string, "\(made)")
      #expect(sees("call.leg.ringing", id, "\"id\":\"\(unattended)\""))
      return id
    }

    func states() throws -> [String: String] {
      let json = try JSONValue(parsing: Array(Client.get(port, "/api/capabilities", key: key).body.utf8))
      let all = json["capabilities"]?.array ?? []
      return Dictionary(all.map { ($0["name"]?.string ?? "", $0["state"]?.string ?? "") }) { first, _ in first }
    }
  }

  @Test(arguments: PBX.allCases) func aCallIsPlacedTransferredAndEnded(_ pbx: PBX) throws {
    let host = try Host(pbx)
    let id = try host.talk()
    #expect(host.post("/\(id)/transfer", "{\"kind\":\"blind\",\"to\":\"\(host.people[2])\"}").status == 202)
    #expect(host.sees("call.transferred", id, "\"blind\""))
    #expect(host.sees("call.leg.answered", id, "\"id\":\"\(host.people[2])\""))
    #expect(Client.get(host.port, "/relay/calls/\(id)", key: host.key, method: "DELETE").status == 202)
    #expect(host.sees("call.ended", id))
    #expect(Client.get(host.port, "/relay/calls/\(id)", key: host.key, method: "DELETE").status == 404)
  }

  @Test(arguments: PBX.allCases) func aCallThatRingsIsDivertedOrRoutedAsTheCapabilitiesSay(_ pbx: PBX) throws {
    let host = try Host(pbx)
    let states = try host.states()
    for command in ["divert", "route"] {
      let id = try host.ring()
      let answer = host.post("/\(id)/\(command)", "{\"to\":\"\(host.people[2])\"}")
      let isAble = states[command] == "available"
      #expect(answer.status == (isAble ? 202 : 409), "\(command) is \(states[command] ?? "-"): \(answer)")
      if isAble { #expect(host.sees("call.leg.answered", id, "\"id\":\"\(host.people[2])\"")) }
      _ = Client.get(host.port, "/relay/calls/\(id)", key: host.key, method: "DELETE")
      #expect(host.sees("call.ended", id))
    }
  }

  @Test(arguments: PBX.allCases) func whatCannotBeDoneIsRefusedAsTheCapabilitiesSay(_ pbx: PBX) throws {
    let host = try Host(pbx)
    let states = try host.states()
    for (feature, command, body) in [("hold", "hold", nil), ("park", "park", nil)] as [(String, String, String?)] {
      let id = try host.talk()
      let answer = host.post("/\(id)/\(command)", body)
      let isAble = states[feature] == "available"
      #expect(answer.status == (isAble ? 202 : 409), "\(feature) is \(states[feature] ?? "-"): \(answer)")
      if !isAble { #expect(answer.body.contains("\"remedy\":\"") && answer.body.contains("\"code\"")) }
      _ = Client.get(host.port, "/relay/calls/\(id)", key: host.key, method: "DELETE")
      #expect(host.sees("call.ended", id))
    }
  }

  @Test(arguments: PBX.allCases) func whatMakesNoSenseIsRefused(_ pbx: PBX) throws {
    let host = try Host(pbx)
    let id = try host.talk()
    // Nothing rings any more.
    #expect(host.post("/\(id)/answer").status == 409)
    #expect(host.post("/\(id)/divert", "{\"to\":\"\(host.people[2])\"}").status == 409)
    #expect(host.post("/\(id)/route", "{}").status == 400)
    #expect(host.post("/\(id)/transfer", "{\"kind\":\"sideways\",\"to\":\"1\"}").status == 400)
    #expect(
      host.post("/01a1fdde-e5f4-8f22-bd47-f4b37199f1f1/transfer", "{\"kind\":\"blind\",\"to\":\"1\"}").status == 404)
    #expect(host.post("", "{\"from\":\"\(host.people[0])\"}").body.contains("\"to\""))
  }

  @Test(arguments: PBX.allCases) func aRequestThatIsSentTwiceActsOnce(_ pbx: PBX) throws {
    let host = try Host(pbx)
    let body = "{\"from\":\"\(host.people[0])\",\"to\":\"\(host.people[1])\"}"
    let answers = (0..<2).map { _ in host.post("", body, headers: [("Idempotency-Key", "once")]) }
    #expect(answers[0].status == 202 && answers[0].body == answers[1].body)
    let id = try #require(try JSONValue(parsing: Array(answers[0].body.utf8))["id"]?.string)
    #expect(host.sees("call.started", id))
    let active = Client.get(host.port, "/relay/active-calls", key: host.key).body
    let calls = try JSONValue(parsing: Array(active.utf8))["calls"]?.array ?? []
    let ours = calls.filter {
      $0["from"]?["raw"]?.string == host.people[0] && $0["to"]?["raw"]?.string == host.people[1]
    }
    #expect(ours.count == 1)
  }
}
