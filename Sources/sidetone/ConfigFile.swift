// Which configuration a command works with.

internal import Agent
internal import Basics

extension AgentConfig {
  static let standardPath = "/etc/sidetone/sidetone.conf"

  /// `--config FILE`, else the installed file where there is one; the environment lies over it.
  static func load(_ arguments: Arguments) throws -> AgentConfig {
    let path = arguments["config"] ?? (Files.exists(standardPath) ? standardPath : nil)
    let config = try load(path: path, environment: Environment.all)
    Environment.useTimeZone(config.timeZone)
    return config
  }
}
