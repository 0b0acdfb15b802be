import Basics
import Foundation
import Glibc
import JSON
import Stagecraft
import TestSupport
import Testing

/// Events on their way out, with the real binary and receivers of every temper.
@Suite(.serialized) struct UpstreamTests {
  /// How a receiver that fails in every way answers its nth request.
  static func temper(_ number: Int) -> Receiver.Answer {
    switch number % 47 {
    case 1: .status(500)
    case 4: .nothing
    case 7: .reset
    case 9: .trickle
    case 11: .status(429, headers: ["Retry-After: 1"])
    case 13: .status(503)
    case 15: .garbage
    case 17: .status(302, headers: ["Location: http://127.0.0.1:1/"])
    case 19: .status(503, headers: ["Retry-After: Fri, 21 Nov 2025 00:00:00 GMT"])
    default: .status(200)
    }
  }

  @Test func aReceiverThatFailsInEveryWayGetsEverythingInOrder() throws {
    let stage = try UpstreamStage(rate: 4)
    let receiver = Receiver { Self.temper($0.number) }
    // First the wrong protocol: TLS to a port that speaks none.
    let place = try stage.add("crm", to: receiver.port, more: ",\"timeout_secs\":1")
    let tls = "{\"url\":\"https://127.0.0.1:\(receiver.port)/\"}"
    #expect(try stage.ask("PATCH", "/api/destinations/crm", tls).status == 200)
    let plain = "{\"url\":\"http://127.0.0.1:\(receiver.port)/hook\"}"
    #expect(try stage.ask("PATCH", "/api/destinations/crm", plain).status == 200)
    let enough = Amount.of("HOOKS", 100)
    #expect(receiver.wait { $0.count >= enough })
    stage.silencePBX()
    let events = try stage.journal()
    let isTaken: (Receiver.Request) -> Bool = {
      switch Self.temper($0.number) {
      case .status(200, _), .trickle: true
      default: false
      }
    }
    var isWhole = false
    // What waits for its next attempt is brought forward, as an administrator would.
    for _ in 0..<200 where !isWhole {
      let before = receiver.all.count
      #expect(try stage.ask("POST", "/api/destinations/crm/resume").status == 200)
      isWhole = receiver.wait { requests in
        let isWhole = (try? Received(requests, secret: place.secret, isTaken: isTaken).missing(of: events)) == 0
        return isWhole || requests.count >= before + 10
      }
      isWhole = try Received(receiver.all, secret: place.secret, isTaken: isTaken).missing(of: events) == 0
    }
    let received = try Received(receiver.all, secret: place.secret, isTaken: isTaken)
    print("\(receiver.all.count) requests for \(events.count) events, \(received.doubled) doubled")
    #expect(isWhole, "\(received.missing(of: events)) of \(events.count) are missing")
    #expect(received.badSignatures == 0)
    #expect(received.disordered.isEmpty)
  }

  @Test func aDestinationThatIsGoneIsStoppedAndGoesOnWhenResumed() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver { $0.number == 5 ? .status(410) : .status(200) }
    let place = try stage.add("crm", to: receiver.port, more: ",\"concurrency\":1")
    #expect(receiver.wait { $0.count >= 5 })
    // The request is counted before its answer is read.
    try stage.await("crm") { $0["state"]?.string == "gone" }
    let health = Client.get(stage.agent.port, "/relay/health").body
    #expect(health.contains("destination-gone"))
    #expect(try stage.show("crm")["state"]?.string == "gone")
    let measured = Client.get(stage.agent.port, "/metrics").body.split(separator: "\n")
    #expect(measured.contains { $0.hasPrefix(#"sidetone_destination_up{destination="crm""#) && $0.hasSuffix("} 0") })
    try stage.restart()
    #expect(receiver.all.count == 5, "gone survives a restart")
    stage.silencePBX()
    let events = try stage.journal()
    #expect(try stage.ask("POST", "/api/destinations/crm/resume").status == 200)
    let isTaken: (Receiver.Request) -> Bool = { $0.number != 5 }
    #expect(
      receiver.wait { (try? Received($0, secret: place.secret, isTaken: isTaken).missing(of: events)) == 0 })
    #expect(try Received(receiver.all, secret: place.secret, isTaken: isTaken).disordered.isEmpty)
  }

  @Test func killedAtAnyInstantEveryDestinationGetsEverything() throws {
    let stage = try UpstreamStage(rate: Double(Amount.of("SINK_CALLS", 40)))
    let (good, slow) = (
      Receiver(),
      Receiver(taking: 20)
    )
    let (fast, late) = (try stage.add("good", to: good.port), try stage.add("slow", to: slow.port))
    _ = try stage.add("dead", to: 1)
    let kills = Amount.of("SINK_KILLS", 10)
    for _ in 0..<kills {
      let before = good.all.count
      #expect(good.wait { $0.count >= before + Int.random(in: 1...60) })
      try stage.restart()
    }
    stage.silencePBX()
    let events = try stage.journal()
    for (name, receiver, place) in [("good", good, fast), ("slow", slow, late)] {
      #expect(receiver.wait(distinct: events.count), "\(name)")
      let received = try Received(receiver.all, secret: place.secret)
      #expect(received.missing(of: events) == 0, "\(name)")
      print("\(name): \(events.count) events, \(received.doubled) doubled in \(kills) kills")
      #expect(received.disordered.isEmpty, "\(name)")
      #expect(received.badSignatures == 0, "\(name)")
      #expect(received.doubled <= kills * 64, "at most what was in flight")
    }
    #expect(try stage.show("dead")["accepted"]?.int == 0)
    #expect(try stage.show("dead")["set_aside"]?.int == 0, "nothing is given up while it is down")
  }

  /// Order and completeness are held here; how long it took is printed, and judged where figures are kept.
  @Test func theGoodIsNotHeldUpByTheOthers() throws {
    let stage = try UpstreamStage(rate: Double(Amount.of("SINK_CALLS", 40)))
    let good = Receiver()
    let slow = Receiver(taking: 200)
    _ = try stage.add("dead", to: 1)
    _ = try stage.add("slow", to: slow.port)
    let place = try stage.add("good", to: good.port)
    let enough = Amount.of("SINK_EVENTS", 400)
    #expect(good.wait { $0.count >= enough })
    let received = try Received(good.all, secret: place.secret)
    #expect(received.disordered.isEmpty && received.doubled == 0)
    let late = try good.all.compactMap { request -> Double? in
      let time = try JSONValue(parsing: request.body)["time"]?.string.flatMap { Timestamp(rfc3339: $0) }
      return time.map { request.at - Double($0.microseconds) / 1e6 }
    }.sorted()
    let (middle, high) = (late[late.count / 2] * 1000, late[late.count * 99 / 100] * 1000)
    print(
      "good beside dead and slow: \(late.count) events, p50 \(Int(middle)) ms, p99 \(Int(high)) ms from the PBX to its hands"
    )
  }

  @Test func whatAReceiverAskedForHoldsOverARestart() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver { _ in .status(429, headers: ["Retry-After: 3600"]) }
    _ = try stage.add("crm", to: receiver.port, more: ",\"concurrency\":1")
    try stage.await("crm") { ($0["waits_seconds"]?.int ?? 0) > 3000 }
    stage.agent.kill(SIGTERM)
    stage.agent = try stage.stage.startAgent()
    #expect(try stage.show("crm")["waits_seconds"]?.int ?? 0 > 3000)
    #expect(receiver.all.count == 1)
  }

  @Test func theAdministratorSeesAndMendsIt() throws {
    let stage = try UpstreamStage(rate: 10)
    // Refused are three, once each; what is asked for again is taken.
    let receiver = Receiver { [2, 4, 6].contains($0.number) ? .status(422) : .status(200) }
    let place = try stage.add("crm", to: receiver.port, more: ",\"concurrency\":1,\"heartbeat\":false")
    #expect(receiver.wait { $0.count >= 20 })
    stage.silencePBX()
    let aside = try stage.ask("GET", "/api/destinations/crm/deliveries?state=aside").json["data"]?.array ?? []
    #expect(aside.count == 3)
    #expect(aside.allSatisfy { $0["reason"]?.string == "HTTP 422" })
    let event = aside[0]["event_id"]?.string ?? ""
    let log = try stage.ask("GET", "/api/destinations/crm/log?event=\(event)").json["data"]?.array ?? []
    #expect(log.map { $0["outcome"]?.string } == ["refused"])
    // One is let go and noted, the others are sent again: once, however often it is asked.
    let position = aside[0]["position"]?.int ?? 0
    #expect(
      try stage.ask("POST", "/api/destinations/crm/let-go", "{\"positions\":[\(position)]}").json["count"]?.int == 1)
    let ledger = try stage.ask("GET", "/admin/api/health").json["losses"]?.array ?? []
    #expect(ledger.first?["events"]?.array?.first?.string == event)
    for _ in 0..<2 {
      let answer = try stage.ask(
        "POST", "/api/destinations/crm/replay", "{\"status\":\"aside\"}", headers: [("Idempotency-Key", "once")])
      #expect(answer.status == 202 && answer.json["count"]?.int == 2)
    }
    let again = aside.dropFirst().compactMap { $0["event_id"]?.string }
    #expect(
      receiver.wait { requests in
        again.allSatisfy { id in requests.filter { $0.headers["webhook-id"] == id }.count == 2 }
      })
    // By id, by time, and while it is paused: kept until it is resumed.
    #expect(try stage.ask("POST", "/api/destinations/crm/pause").status == 200)
    let ids = "{\"ids\":[\"\(event)\"]}"
    #expect(try stage.ask("POST", "/api/destinations/crm/replay", ids).json["count"]?.int == 1)
    let span = "{\"from\":1,\"types\":[\"call.ended\"]}"
    #expect(try stage.ask("POST", "/api/destinations/crm/replay", span).status == 202)
    #expect(try stage.ask("POST", "/api/destinations/crm/replay", span).status == 409, "one at a time")
    #expect(try stage.ask("POST", "/api/destinations/crm/resume").status == 200)
    let ended = try stage.journal().count
    #expect(ended > 0)
    #expect(receiver.wait { $0.filter { $0.headers["webhook-id"] == event }.count == 2 })
    // A new secret goes along with those before, over a restart too.
    let new = try (1...2).map { _ in
      let rotated = try stage.ask("POST", "/api/destinations/crm/rotate-secret", "{\"overlap_hours\":1}").json
      return Secret(rotated["secret"]?.string ?? "")
    }
    #expect(Set(([place.secret] + new).map { $0.reveal() }).count == 3)
    try stage.restart()
    let before = receiver.all.count
    #expect(try stage.ask("POST", "/api/destinations/crm/test").json["outcome"]?.string == "accepted")
    let test = receiver.all.dropFirst(before).first {
      String(decoding: $0.body, as: UTF8.self).contains("sidetone.test")
    }
    let request = try #require(test)
    for secret in new + [place.secret] { #expect(try Received([request], secret: secret).badSignatures == 0) }
  }

  @Test func aSignOfLifeGoesTheWholeWayAndItsSilenceIsHeard() throws {
    let stage = try UpstreamStage(rate: 1, heartbeat: 1)
    stage.silencePBX()
    let isBeat: (Receiver.Request) -> Bool = { String(decoding: $0.body, as: UTF8.self).contains("sidetone.heartbeat") }
    let receiver = Receiver()
    _ = try stage.add("crm", to: receiver.port)
    #expect(receiver.wait { $0.contains(where: isBeat) })
    // Subscribers are not told of it.
    #expect(
      !Client.get(stage.agent.port, "/relay/events?after=0&limit=1000", key: stage.key).body.contains("heartbeat"))
    receiver.stop()
    let port = receiver.port
    try stage.await("crm") { _ in
      Client.get(stage.agent.port, "/relay/health").body.contains("destination-silent")
    }
    let again = Receiver(port: port)
    #expect(again.wait { $0.contains(where: isBeat) })
    try stage.await("crm") { _ in
      !Client.get(stage.agent.port, "/relay/health").body.contains("destination-silent")
    }
  }

  /// A name goes through the resolver, whose sockets are not ours; and a date may be of any year.
  @Test func aReceiverHasANameAndWishesForALongTime() throws {
    let stage = try UpstreamStage(rate: 5)
    let receiver = Receiver(taking: 300) { request in
      .status(request.number == 1 ? 503 : 200, headers: ["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"])
    }
    let url = "http://localhost:\(receiver.port)/"
    // Of what happens it takes nothing: the first request is the first test.
    let body =
      "{\"name\":\"crm\",\"url\":\"\(url)\",\"timeout_secs\":3,\"types\":[\"sidetone.test\"],\"heartbeat\":false}"
    #expect(try stage.ask("POST", "/api/destinations", body).status == 201)
    #expect(try stage.ask("POST", "/api/destinations/crm/test").json["outcome"]?.string == "slow_down")
    for _ in 0..<3 { #expect(try stage.ask("POST", "/api/destinations/crm/test").json["status"]?.int == 200) }
    #expect(Client.get(stage.agent.port, "/livez").status == 200)
  }

  @Test func ofAnEndlessAnswerOnlyTheHeadCounts() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver { $0.number <= 5 ? .endless : .status(200) }
    _ = try stage.add("crm", to: receiver.port)
    #expect(receiver.wait(distinct: 20))
    #expect(receiver.unstopped == 0)
    let ids = receiver.all.map { $0.headers["webhook-id"] }
    #expect(Set(ids.prefix(5)).isDisjoint(with: ids.dropFirst(5)), "none was sent again")
  }

  @Test func aNameThatIsTwiceStopsOnlyItself() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver()
    _ = try stage.add("crm", to: receiver.port)
    try "whsec_\(Base64.encode([UInt8](repeating: 1, count: 32)))".write(
      toFile: stage.stage.folder + "/hook", atomically: true, encoding: .utf8)
    var config = try String(contentsOfFile: stage.stage.configPath, encoding: .utf8)
    config += "\n[sink.crm]\nurl = http://127.0.0.1:1/\nsecret_file = \(stage.stage.folder)/hook\n"
    try config.write(toFile: stage.stage.configPath, atomically: true, encoding: .utf8)
    let before = receiver.all.count
    try stage.restart()
    #expect(receiver.wait { $0.count > before + 5 })
    #expect(Client.get(stage.agent.port, "/relay/health").body.contains("destination-unusable"))
  }

  @Test func whatAnAddressMayNotBeIsSaidAtItsField() throws {
    let stage = try UpstreamStage(rate: 1)
    for url in [
      "ftp://x.example/", "https://", "https://user:word@x.example/", "http://10.0.0.1/", "http://[fd00::1]/",
      "http://169.254.169.254/latest/meta-data", "http://[::ffff:192.168.1.1]/", "https://x.example/#part",
      "https://x.example:99999/",
    ] {
      let answer = try stage.ask("POST", "/api/destinations", "{\"name\":\"x\",\"url\":\"\(url)\"}")
      #expect(answer.status == 400 && answer.json["fields"]?["url"] != nil, "\(url): \(answer)")
    }
    let answer = try stage.ask(
      "POST", "/api/destinations",
      "{\"name\":\"\",\"url\":\"x\",\"batch_size\":0,\"gzip\":3,\"colour\":1,\"types\":\"a\"}")
    let named = Set((answer.json["fields"]?.members ?? []).map(\.0))
    #expect(named == ["name", "url", "batch_size", "gzip", "colour", "types"])
  }
}

extension UpstreamTests {
  @Test(arguments: [
    ("let-go", #"{"positions":999999}"#, "positions"), ("let-go", #"{"positions":[]}"#, "positions"),
    ("let-go", #"{"position":[1]}"#, "position"), ("replay", #"{"from":1,"until":6,"types":"call.ended"}"#, "types"),
    ("replay", #"{"from":5,"untill":6}"#, "untill"), ("replay", #"{"from":5,"status":5}"#, "status"),
    ("replay", #"{"from":"9999-12-31T23:59:59Z"}"#, "from"), ("replay", #"{"status":"aside","types":[]}"#, "types"),
    ("rotate-secret", #"{"overlap_hours":"1"}"#, "overlap_hours"), ("rotate-secret", #"{"overlap":1}"#, "overlap"),
    ("rotate-secret", "[]", "body"),
  ])
  func whatIsMistakenForAWishIsRefused(_ path: String, _ body: String, _ field: String) throws {
    let stage = try UpstreamStage(rate: 10)
    _ = try stage.add("crm", to: 1)
    let answer = try stage.ask("POST", "/api/destinations/crm/" + path, body)
    #expect(answer.status == 400 || answer.status == 422, "\(answer)")
    #expect(answer.json["fields"]?[field] != nil, "\(answer)")
  }
}

/// The same from the terminal.
@Suite(.serialized) struct UpstreamCommandTests {
  @Test func destinationsAreMadeAndMendedFromTheTerminal() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver { $0.number == 2 ? .status(422) : .status(200) }
    let config = ["--config", stage.stage.configPath]
    let name = "Büro 1+1/2"
    func tell(_ words: String...) throws -> String {
      let done = try RunningProgram.run(words + config)
      #expect(done.code == 0, "\(words): \(done)")
      return done.text
    }
    let url = "http://127.0.0.1:\(receiver.port)/"
    let secret = try tell("destinations", "add", name, "--url", url, "--types", "call.*", "--from", "oldest")
    #expect(secret.hasPrefix("whsec_"))
    #expect(receiver.wait { $0.count >= 10 && $0.contains { $0.says("call.ended") } })
    #expect(try tell("destinations", "list").contains("\(name)  webhook  ok"))
    #expect(try tell("destinations", "log", name, "--limit", "5").contains("accepted"))
    #expect(try tell("destinations", "aside", name).contains("HTTP 422"))
    #expect(try tell("destinations", "pause", name).contains("\(name) is paused"))
    stage.silencePBX()
    #expect(try tell("resend", "--to", name, "--aside").contains("1 events are on their way"))
    // What was asked for while nothing is sent is kept over a kill.
    try stage.restart()
    let refused = try #require(receiver.all.first { $0.number == 2 }?.headers["webhook-id"])
    #expect(try tell("destinations", "resume", name).contains("\(name) is active"))
    #expect(receiver.wait { $0.filter { $0.headers["webhook-id"] == refused }.count == 2 })
    let ended = try #require(receiver.all.first { $0.says("call.ended") }?.headers["webhook-id"])
    #expect(
      try tell("resend", "--to", name, "--from", "1", "--types", "call.ended").contains("is being looked through"))
    #expect(receiver.wait { $0.filter { $0.headers["webhook-id"] == ended }.count >= 2 })
    #expect(try tell("destinations", "test", name).contains("accepted 200"))
    #expect(try tell("destinations", "rotate", name) != secret)
    #expect(try tell("destinations", "remove", name).contains("removed"))
    #expect(try RunningProgram.run(["resend", "--to", name, "--aside"] + config).code != 0)
  }

  @Test func withoutAnAgentTheStateAloneIsEnough() throws {
    let stage = try UpstreamStage(rate: 10)
    _ = try stage.add("crm", to: 1)
    stage.silencePBX()
    stage.agent.kill(SIGTERM)
    let config = ["--config", stage.stage.configPath]
    #expect(try RunningProgram.run(["destinations", "list"] + config).text.contains("crm"))
    #expect(try RunningProgram.run(["destinations", "pause", "crm"] + config).text.contains("crm is paused"))
    stage.agent = try stage.stage.startAgent()
    #expect(try stage.show("crm")["state"]?.string == "paused")
  }

  @Test func eventsAreForwardedWhileOneDevelops() throws {
    let stage = try UpstreamStage(rate: 10)
    let receiver = Receiver()
    let secret = Secret("whsec_" + Base64.encode([UInt8](repeating: 7, count: 32)))
    try secret.reveal().write(toFile: stage.stage.folder + "/hook", atomically: true, encoding: .utf8)
    let listening = Process()
    listening.executableURL = RunningProgram.binary
    listening.arguments = [
      "listen", "--to", "http://127.0.0.1:\(receiver.port)/", "--after", "0", "--secret-file",
      stage.stage.folder + "/hook", "--config", stage.stage.configPath,
    ]
    let output = Pipe.make()
    listening.standardOutput = output
    try listening.begin()
    #expect(receiver.wait { $0.count >= 30 })
    listening.terminate()
    listening.waitUntilExit()
    #expect(listening.terminationStatus == 0)
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(said.contains("200 "))
    let received = try Received(receiver.all, secret: secret)
    #expect(received.badSignatures == 0 && received.doubled == 0)
    #expect(received.order.map(\.position) == received.order.map(\.position).sorted())
  }
}
