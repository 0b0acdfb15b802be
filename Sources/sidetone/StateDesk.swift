// Commands about the state: through the running agent's own routes, or on the state alone, under its lock, when no
// agent runs.

internal import Agent
internal import AsteriskSource
internal import Basics
internal import JSON
internal import Loop
internal import ThreeCXSource

@LoopActor
struct StateDesk {
  let config: AgentConfig
  /// For whom; nil for the default tenant.
  let tenant: String?

  init(_ arguments: Arguments) throws {
    config = try AgentConfig.load(arguments)
    tenant = arguments["tenant"]
  }

  func ask(_ method: String, _ target: String, _ write: ((inout JSONWriter) -> Void)? = nil) async throws -> JSONValue {
    var body = JSONWriter()
    if let write { body.object { write(&$0) } }
    let headers = tenant.map { [("X-Sidetone-Tenant", $0)] } ?? []
    do {
      return try await ControlClient(config).call(method, target, headers: headers, body: body.bytes)
    } catch is AgentNotReachable {
      return try await alone { client in try await client.call(method, target, headers: headers, body: body.bytes) }
    }
  }

  /// Runs an agent without sources for the one request.
  private func alone(_ body: (ControlClient) async throws -> JSONValue) async throws -> JSONValue {
    var alone = config
    alone.listen = .unix(path: config.dataFolder + "/alone.sock")
    alone.asterisk.username = ""
    alone.threecx.url = ""
    alone.runtimeFolder = config.dataFolder
    let agent = Agent(alone)
    try await agent.start(isQuiet: true)
    defer { Files.remove(config.dataFolder + "/alone.sock") }
    let answer = try await body(ControlClient(alone))
    agent.drain()
    return answer
  }

  func show(_ json: JSONValue) {
    var out = JSONWriter()
    json.write(to: &out)
    Files.print(out.bytes + [10])
  }

  /// Each row as a line of JSON, or as `line` puts it.
  func list(_ rows: [JSONValue], isJSON: Bool, _ line: (JSONValue) -> String) {
    for row in rows { if isJSON { show(row) } else { Files.print(line(row)) } }
  }
}

extension JSONValue {
  /// A member as text, or nothing.
  func said(_ name: String) -> String { self[name]?.string ?? self[name]?.int.map { String($0) } ?? "" }
}
