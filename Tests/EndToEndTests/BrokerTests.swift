import Basics
import Foundation
import Glibc
import JSON
import Stagecraft
import TestSupport
import Testing

/// Brokers that are killed while events are published to them.
@Suite(.serialized) struct BrokerTests {
  @Test func aKilledNATSServerLosesAndDoublesNothing() throws {
    let server = try NATSServer()
    let stage = try UpstreamStage(
      rate: 40,
      more: "[sink.bus]\ntype = nats\nurl = nats://127.0.0.1:\(server.port)\ntimeout_secs = 2\nheartbeat = no\n")
    for _ in 0..<Amount.of("BROKER_KILLS", 3) {
      try stage.await("bus", accepted: 50)
      server.kill()
      try stage.await("bus") { $0["health"]?.string == "failing" }
      try server.start()
    }
    try stage.await("bus", accepted: 50)
    stage.silencePBX()
    let events = try stage.journal()
    try stage.await("bus") { $0["lag"]?.int == 0 && $0["held"]?.int == 0 && $0["in_flight"]?.int == 0 }
    let kept = try NATSReader.messages(port: server.port, stream: "SIDETONE")
    print("nats: \(events.count) events, \(kept.count) in the stream")
    #expect(kept.map { $0["id"]?.string ?? "" }.sorted() == events.map(\.id).sorted(), "each once")
    #expect(Self.isOrdered(kept))
  }

  @Test func aServerThatRefusedUsForAWhileIsFoundAgain() throws {
    let server = try NATSServer()
    let stage = try UpstreamStage(
      rate: 20,
      more: "[sink.bus]\ntype = nats\nurl = nats://127.0.0.1:\(server.port)\ntimeout_secs = 2\nheartbeat = no\n")
    try stage.await("bus", accepted: 10)
    server.kill()
    try server.start(login: ["--user", "somebody", "--pass", "else"])
    try stage.await("bus") { $0["last_failure"]?.string?.contains("refused") ?? false }
    server.kill()
    try server.start()
    _ = try stage.ask("POST", "/api/destinations/bus/resume")
    try stage.await("bus", accepted: 50)
  }

  @Test func killedKafkaBrokersLoseAndDoubleNothing() throws {
    let cluster = try KafkaCluster(brokers: 3)
    let stage = try UpstreamStage(
      rate: 40, more: "[sink.log]\ntype = kafka\nurl = \(cluster.bootstraps)\nheartbeat = no\ntimeout_secs = 60\n")
    for round in 0..<Int32(Amount.of("BROKER_KILLS", 3)) {
      try stage.await("log", accepted: 50)
      for broker in 1...(round % 3 + 1) { cluster.set(broker, isUp: false) }
      let before = try stage.show("log")["position"]?.int ?? 0
      // More is on its way than is acknowledged.
      try stage.await("log") {
        ($0["lag"]?.int ?? 0) + ($0["in_flight"]?.int ?? 0) > 20 || ($0["position"]?.int ?? 0) > before + 50
      }
      for broker in 1...Int32(3) { cluster.set(broker, isUp: true) }
    }
    try stage.await("log", accepted: 50)
    stage.silencePBX()
    let events = try stage.journal()
    try stage.await("log") { $0["lag"]?.int == 0 && $0["held"]?.int == 0 && $0["in_flight"]?.int == 0 }
    let text = try Tool.run(["kcat", "-C", "-b", cluster.bootstraps, "-t", "sidetone", "-e", "-q", "-f", "%s\\n"])
    let kept = try text.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
    let ids = Set(kept.compactMap { $0["id"]?.string })
    print("kafka: \(events.count) events, \(kept.count) messages, \(ids.count) after de-duplication")
    #expect(ids == Set(events.map(\.id)))
    #expect(Self.isOrdered(kept))
  }

  private static func isOrdered(_ events: [JSONValue]) -> Bool {
    var seen: Set<String> = []
    let first = events.filter { seen.insert($0["id"]?.string ?? "").inserted }
    return Dictionary(grouping: first) { $0["subject"]?.string ?? "" }.allSatisfy { _, events in
      let sequence = events.map { $0["sequence"]?.string ?? "" }
      return sequence == sequence.sorted()
    }
  }
}

extension UpstreamStage {
  /// Waits, by asking again, until the destination is as it is meant to be; fails after a minute.
  func await(_ name: String, _ isThere: (JSONValue) -> Bool) throws {
    let end = Moment.now() + .seconds(60)
    while Moment.now() < end {
      let state = try show(name)
      if isThere(state) { return }
    }
    Issue.record("\(name) is \(try show(name))")
  }

  /// Waits for so many more to be acknowledged.
  func await(_ name: String, accepted more: Int64) throws {
    let before = try show(name)["accepted"]?.int ?? 0
    try self.await(name) { ($0["accepted"]?.int ?? 0) >= before + more }
  }
}

/// Reads a stream's messages by JetStream's own API, in the text protocol of NATS.
enum NATSReader {
  static func messages(port: Int, stream: String) throws -> [JSONValue] {
    let info = try request(port, ["$JS.API.STREAM.INFO.\(stream)": [""]])
    let state = try JSONValue(parsing: Array((info.first ?? "").utf8))["state"]
    let (first, last) = (state?["first_seq"]?.int ?? 1, state?["last_seq"]?.int ?? 0)
    guard last >= first else { return [] }
    let asked = (first...last).map { "{\"seq\":\($0)}" }
    return try request(port, ["$JS.API.STREAM.MSG.GET.\(stream)": asked]).map { answer in
      let data = try JSONValue(parsing: Array(answer.utf8))["message"]?["data"]?.string ?? ""
      return try JSONValue(parsing: Base64.decode(data) ?? [])
    }
  }

  /// The replies' payloads, one for each request, in order.
  private static func request(_ port: Int, _ requests: [String: [String]]) throws -> [String] {
    let count = requests.values.reduce(0) { $0 + $1.count }
    var text = "CONNECT {\"verbose\":false}\r\nSUB _INBOX.test 1\r\n"
    for (subject, payloads) in requests {
      for payload in payloads { text += "PUB \(subject) _INBOX.test \(payload.utf8.count)\r\n\(payload)\r\n" }
    }
    var answers: [String] = []
    var buffer: [UInt8] = []
    Client.converse(port, Array(text.utf8)) { bytes in
      buffer += bytes
      while let end = buffer.firstRange(of: Array("\r\n".utf8)) {
        let line = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
        guard line.hasPrefix("MSG"), let size = line.split(separator: " ").last.flatMap({ Int($0) }) else {
          buffer.removeSubrange(..<end.upperBound)
          continue
        }
        guard buffer.count >= end.upperBound + size + 2 else { break }
        answers.append(String(decoding: buffer[end.upperBound..<(end.upperBound + size)], as: UTF8.self))
        buffer.removeSubrange(..<(end.upperBound + size + 2))
      }
      return answers.count < count
    }
    return answers
  }
}
