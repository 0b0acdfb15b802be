// sidetone keys: API keys, through the running agent, or on the state alone when none runs.

internal import Agent
internal import AsteriskSource
internal import Basics
internal import CShims
internal import CallModel
internal import Identity
internal import JSON
internal import Loop
internal import Store

extension Sidetone {
  static let keys = Command(
    name: "keys", summary: "make, list and revoke API keys",
    usage: "keys create --name NAME [--scopes A,B] [--expires TIME] | list [--json] | revoke ID  [--config FILE]",
    options: [.value("name"), .value("scopes"), .value("expires"), .flag("json"), .value("config")]
  ) { arguments in
    let config = try AgentConfig.load(arguments)
    let desk = KeyDesk(config: config)
    switch try arguments.operand(0, "create, list or revoke") {
    case "create": return try await desk.create(arguments)
    case "list": return try await desk.list(isJSON: arguments.has("json"))
    case "revoke": return try await desk.revoke(try arguments.operand(1, "ID"))
    default: throw UsageError(description: "expected create, list or revoke")
    }
  }
}

@LoopActor
private struct KeyDesk {
  let config: AgentConfig

  func create(_ arguments: Arguments) async throws -> Int32 {
    guard let name = arguments["name"] else { throw UsageError(description: "--name is missing") }
    var body = JSONWriter()
    body.object { json in
      json.field("name", name)
      if let scopes = arguments["scopes"] {
        json.key("scopes")
        json.array { json in for scope in scopes.split(separator: ",") { json.value(String(scope).trimmed) } }
      }
      if let expires = arguments["expires"] { json.field("expires_at", expires) }
    }
    let made = try await ask("POST", "/admin/api/keys", body.bytes)
    if arguments.has("json") {
      show(made)
    } else {
      Files.print(made["key"]?.string ?? "")
      Files.print("Keep it now: it is not shown again. Id \(made["id"]?.string ?? "").", to: 2)
    }
    return Exit.ok
  }

  func list(isJSON: Bool) async throws -> Int32 {
    let found = try await ask("GET", "/admin/api/keys", [])
    for key in found["data"]?.array ?? [] {
      if isJSON {
        show(key)
        continue
      }
      let scopes = key["scopes"]?.array?.compactMap(\.string).joined(separator: ",") ?? ""
      let state = key["revoked_at"]?.string.map { "revoked \($0)" } ?? "active"
      Files.print(
        "\(key["id"]?.string ?? "")  \(key["hint"]?.string ?? "")  \(state)  \(scopes)  \(key["name"]?.string ?? "")")
    }
    return Exit.ok
  }

  func revoke(_ id: String) async throws -> Int32 {
    _ = try await ask("DELETE", "/admin/api/keys/\(id)", [])
    Files.print("revoked")
    return Exit.ok
  }

  private func show(_ json: JSONValue) {
    var out = JSONWriter()
    json.write(to: &out)
    Files.print(out.bytes + [10])
  }

  /// The running agent's own routes; without an agent, an agent without sources is run for the one request.
  private func ask(_ method: String, _ target: String, _ body: [UInt8]) async throws -> JSONValue {
    do {
      return try await ControlClient(config).call(method, target, body: body)
    } catch is AgentNotReachable {
      var alone = config
      alone.listen = .unix(path: config.dataFolder + "/keys.sock")
      alone.asterisk.username = ""
      alone.runtimeFolder = config.dataFolder
      let agent = Agent(alone)
      try await agent.start(isQuiet: true)
      defer { Files.remove(config.dataFolder + "/keys.sock") }
      let answer = try await ControlClient(alone).call(method, target, body: body)
      agent.drain()
      return answer
    }
  }
}
