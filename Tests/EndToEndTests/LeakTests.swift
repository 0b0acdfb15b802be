import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// Random requests, made from the served document, by two tenants: nothing of one is ever shown to the other, nothing
/// secret to anybody, and no request is a fault of ours.
@Suite(.serialized) struct LeakTests {
  private static let requests =
    ProcessInfo.processInfo.environment["SIDETONE_SOAK_REQUESTS"].flatMap { Int($0) } ?? 5000
  private static let canary = "canary-6f1d0c-Violet"

  private struct Asker {
    let tenant: String
    let header: (String, String)
  }

  @Test(arguments: Engine.allCases) func randomRequestsLeakNothing(_ engine: Engine) throws {
    let folder = TemporaryDirectory.make()
    for (name, text) in [("jwt", Self.canary + String(repeating: "x", count: 20)), ("db", Self.canary)] {
      try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
    }
    var environment = [
      "SIDETONE_LIMITS__LOGIN_PER_MINUTE": "1000000", "SIDETONE_LIMITS__RELAY_PER_MINUTE": "100000000",
      "SIDETONE_LIMITS__KEYS_PER_HOUR": "1000000",
      "SIDETONE_IDENTITY__SECRET_FILE": folder + "/jwt", "SIDETONE_LOG__LEVEL": "debug",
      "SIDETONE_RELAY__IDLE_SECS": "86400", "SIDETONE_RELAY__PING_SECS": "3600",
    ]
    if engine == .postgres {
      environment["SIDETONE_STORAGE__URL"] = try PostgresServer.shared.get().makeDatabase()
      environment["SIDETONE_STORAGE__PASSWORD_FILE"] = folder + "/db"
    }
    let cast = try Cast(rate: 5, environment: environment, log: folder + "/log")
    let secret = try cast.addKey(["calls:read"])
    try Self.canary.write(toFile: cast.stage.folder + "/password", atomically: true, encoding: .utf8)
    let askers = try enter(cast)
    let count = Self.requests / Engine.allCases.count
    let statuses = try ask(count, cast, askers, secrets: [Self.canary, secret])
    let log = try String(contentsOfFile: folder + "/log", encoding: .utf8)
    for hidden in [Self.canary, secret] {
      #expect(!log.contains(hidden))
      #expect(!Client.get(cast.agent.port, "/metrics").body.contains(hidden))
    }
    let answers = statuses.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
    print("\(engine): \(count) random requests leaked nothing: \(answers)")
    // It asked what is answered, and not only what is refused.
    #expect(statuses[200, default: 0] > count / 20)
  }

  private func enter(_ cast: Cast) throws -> [Asker] {
    var askers: [Asker] = []
    for (tenant, mark) in [(nil, "ALPHA"), ("globex", "BRAVO")] as [(String?, String)] {
      for role in ["admin", "agent"] {
        try cast.addPerson("\(mark)-\(role)", role, tenant: tenant)
        let token = try cast.signIn("\(mark)-\(role)", password: Self.canary)
        askers.append(Asker(tenant: mark, header: ("Authorization", "Bearer \(token)")))
      }
      let key = try cast.addKey(Cast.scopes, tenant: tenant)
      askers.append(Asker(tenant: mark, header: ("Authorization", "Bearer \(key)")))
    }
    return askers
  }

  private func ask(_ count: Int, _ cast: Cast, _ askers: [Asker], secrets: [String]) throws -> [Int: Int] {
    var random = Dice(seed: 20_261_121)
    let port = cast.agent.port
    // Those that would end the askers themselves, and the one that never answers.
    let spared = ["/logout", "/password", "/own-key", "/totp", "/relay/ws", "/relay/ws-ticket"]
    let operations = try Operation.all(port).filter { operation in
      !spared.contains { operation.path.hasSuffix($0) }
    }
    var statuses: [Int: Int] = [:]
    var ids: [String: [String]] = [:]
    for asker in askers where ids[asker.tenant] == nil {
      ids[asker.tenant] = ["keys", "users"].flatMap { kind in
        let text = Client.get(port, "/admin/api/\(kind)", headers: [asker.header]).body
        return (try? JSONValue(parsing: Array(text.utf8)))?["data"]?.array?.compactMap { $0["id"]?.string } ?? []
      }
    }
    for _ in 0..<count {
      let (operation, asker) = (random.pick(operations), random.pick(askers))
      let others = ids.filter { $0.key != asker.tenant }.flatMap(\.value)
      let id = random.chance(0.8) ? random.pick(others) : random.pick(Dice.words)
      let target = operation.target(Dice.escaped(id)) + random.query(operation.json)
      let schema = operation.json["requestBody"]?["content"]?["application/json"]?["schema"]
      let body = schema.map { random.body($0) }
      let answer = Client.get(port, target, method: operation.method, body: body, headers: [asker.header])
      statuses[answer.status, default: 0] += 1
      #expect(answer.status < 500 || answer.status == 503, "\(operation.method) \(target) \(body ?? "") → \(answer)")
      let foreign = asker.tenant == "ALPHA" ? "BRAVO-" : "ALPHA-"
      #expect(!answer.body.contains(foreign), "\(operation.method) \(target) shows another tenant's rows")
      if asker.tenant == "BRAVO" {
        #expect(!answer.body.contains("linkedid"), "\(target) shows another tenant's calls")
      }
      for hidden in secrets { #expect(!answer.body.contains(hidden), "\(target) shows a secret") }
    }
    return statuses
  }
}

/// Choices that come again with the same seed.
struct Dice {
  static let words = [
    "", "x", "0", "-1", "9223372036854775807", "99999999999999999999", "null", "true", "1.5e308", "2026-02-30",
    "2026-11-20T12:00:00Z", "' OR 1=1 --", "%00", "../../etc/passwd", "é😀\u{202e}", "<script>", "{{7*7}}", "a\"b\\c",
    String(repeating: "A", count: 2000), "01a1fdde-e5f4-4f22-bd47-f4b37199f1f1", "inbound", "answered", "admin",
  ]
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64.
  private mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
  mutating func chance(_ share: Double) -> Bool { Double(next() >> 11) / Double(1 << 53) < share }
  mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

  static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45
      return isPlain ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16, uppercase: true).leftPadded
    }.joined()
  }

  mutating func query(_ operation: JSONValue) -> String {
    let names = (operation["parameters"]?.array ?? []).filter { $0["in"]?.string == "query" }.compactMap {
      $0["name"]?.string
    }
    let pairs = names.filter { _ in chance(0.4) }.map { "\($0)=\(Self.escaped(pick(Self.words)))" }
    return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
  }

  /// A body near the schema: mostly of the right kind, now and then anything at all.
  mutating func body(_ schema: JSONValue) -> String {
    if chance(0.05) { return pick(["", "{", "[]", "null", "\u{0}", "{\"a\":", String(repeating: "[", count: 500)]) }
    var json = JSONWriter()
    value(schema, to: &json, depth: 0)
    return String(decoding: json.bytes, as: UTF8.self)
  }

  private mutating func value(_ schema: JSONValue, to json: inout JSONWriter, depth: Int) {
    if chance(0.1) { return anything(to: &json) }
    if let values = schema["enum"]?.array { return pick(values).write(to: &json) }
    if let choices = schema["anyOf"]?.array { return value(pick(choices), to: &json, depth: depth + 1) }
    switch schema["type"]?.string {
    case "string": json.value(pick(Self.words))
    case "integer": json.value(Int64(truncatingIfNeeded: next() >> UInt64(below(60))))
    case "number": json.value(Double(below(1000)) / 7)
    case "boolean": json.value(chance(0.5))
    case "array":
      let item = schema["items"] ?? .null
      var inner = self
      json.array { json in for _ in 0..<inner.below(3) { inner.value(item, to: &json, depth: depth + 1) } }
      self = inner
    case "object":
      var inner = self
      json.object { json in
        for (name, member) in schema["properties"]?.members ?? [] where inner.chance(0.8) {
          json.key(name)
          inner.value(member, to: &json, depth: depth + 1)
        }
      }
      self = inner
    default: json.null()
    }
  }

  private mutating func anything(to json: inout JSONWriter) {
    switch below(6) {
    case 0: json.null()
    case 1: json.value(chance(0.5))
    case 2: json.value(Int64.max)
    case 3: json.array { $0.value("x") }
    case 4: json.object { $0.field("x", 1) }
    default: json.value(pick(Self.words))
    }
  }
}

extension String {
  fileprivate var leftPadded: String { count < 2 ? "0" + self : self }
}
