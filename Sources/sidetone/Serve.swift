// sidetone serve: the agent in the foreground.

internal import Agent
internal import Basics
internal import Config
internal import Log
internal import Loop

extension Sidetone {
  static let serve = Command(
    name: "serve", summary: "run the agent", usage: "serve [--config FILE]", options: [.value("config")],
    takesOperands: false
  ) { arguments in
    let config = try AgentConfig.load(arguments)
    Log.configure(level: config.logLevel, format: config.logFormat)
    let agent = Agent(config, handlingSignals: [1, 2, 15]) { try AgentConfig.load(arguments) }
    try await agent.start()
    if case .tcp(let host, _) = config.listen {
      Files.print("ready http://\(host.contains(":") ? "[\(host)]" : host):\(agent.port)")
    } else {
      Files.print("ready \(config.controlSocket)")
    }
    return await agent.runUntilDone()
  }

  static let version = Command(
    name: "version", summary: "say which version this is", usage: "version", options: [], takesOperands: false
  ) {
    _ in
    Files.print("sidetone \(Agent.version)")
    return Exit.ok
  }
}
