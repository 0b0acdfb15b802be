import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing
import WebhookSink

/// An agent that listens to a simulated PBX and may deliver to this machine.
final class UpstreamStage {
  let stage: Stage
  var agent: RunningProgram
  let key: String

  /// - Parameter heartbeat: seconds; zero for none.
  init(rate: Double, heartbeat: Int = 0, more: String = "") throws {
    let upstream = "[upstream]\nallowed_networks = 127.0.0.0/8\nheartbeat_secs = \(heartbeat)\n"
    stage = try Stage(rate: rate, pace: 0.05, more: upstream + more)
    agent = try stage.startAgent()
    key = try stage.makeKey("events:read,destinations:write,admin")
  }

  struct Destination {
    let id: String
    let secret: Secret<String>
  }

  func ask(_ method: String, _ path: String, _ body: String? = nil, headers: [(String, String)] = []) throws
    -> (status: Int, json: JSONValue)
  {
    let answer = Client.get(agent.port, path, key: key, method: method, body: body, headers: headers)
    return (answer.status, (try? JSONValue(parsing: Array(answer.body.utf8))) ?? .null)
  }

  func add(_ name: String, to port: Int, more: String = "") throws -> Destination {
    let body = "{\"name\":\"\(name)\",\"url\":\"http://127.0.0.1:\(port)/hook\",\"from\":\"oldest\"\(more)}"
    let (status, json) = try ask("POST", "/api/destinations", body)
    #expect(status == 201, "\(json)")
    return Destination(id: json["id"]?.string ?? "", secret: Secret(json["secret"]?.string ?? ""))
  }

  func show(_ name: String) throws -> JSONValue { try ask("GET", "/api/destinations/\(name)").json }

  /// No more calls begin; what was heard is all there will be.
  func silencePBX() { stage.pbx?.kill(SIGKILL) }

  func restart() throws {
    agent.kill(SIGKILL)
    agent = try stage.startAgent()
  }

  /// Every event of the journal, in order.
  func journal() throws -> [(id: String, subject: String, position: Int64)] {
    var found: [(String, String, Int64)] = []
    var after: Int64 = 0
    while true {
      let page = try ask("GET", "/relay/events?after=\(after)&limit=1000").json["data"]?.array ?? []
      for event in page {
        let position = Int64(event["sequence"]?.string ?? "") ?? 0
        found.append((event["id"]?.string ?? "", event["subject"]?.string ?? "", position))
      }
      guard let last = found.last?.2, !page.isEmpty else { return found }
      after = last
    }
  }
}

/// What a receiver got, held against the promises.
struct Received {
  /// Positions by event, in the order of their first coming.
  private(set) var order: [(id: String, subject: String, position: Int64)] = []
  private(set) var times: [String: Int] = [:]
  private(set) var badSignatures = 0

  /// - Parameter isTaken: whether the receiver acknowledged, or may have.
  init(_ requests: [Receiver.Request], secret: Secret<String>, isTaken: (Receiver.Request) -> Bool = { _ in true })
    throws
  {
    let key = try #require(StandardWebhooks.key(secret))
    for request in requests where isTaken(request) {
      do throws(StandardWebhooks.Fault) {
        try StandardWebhooks.verify(body: request.body, keys: [key], now: Int64(request.at)) { request.headers[$0] }
      } catch {
        badSignatures += 1
      }
      let parsed = try JSONValue(parsing: request.body)
      for event in parsed.array ?? [parsed] where event["type"]?.string != "sidetone.heartbeat" { take(event) }
    }
  }

  private mutating func take(_ event: JSONValue) {
    guard let id = event["id"]?.string, let position = event["sequence"]?.string.flatMap({ Int64($0) }) else { return }
    times[id, default: 0] += 1
    if times[id] == 1 { order.append((id, event["subject"]?.string ?? "", position)) }
  }

  /// Calls whose events did not come in the order of the journal.
  var disordered: [String] {
    Dictionary(grouping: order, by: \.subject).filter { _, events in
      events.map(\.position) != events.map(\.position).sorted()
    }.map(\.key)
  }

  var doubled: Int { times.values.reduce(0) { $0 + $1 - 1 } }

  func missing(of events: [(id: String, subject: String, position: Int64)]) -> Int {
    events.filter { times[$0.id] == nil }.count
  }
}
