// sidetone config: check the configuration, show it, import variables of earlier products.

internal import Agent
internal import Basics
internal import Config
internal import JSON
internal import Loop

extension Sidetone {
  static let config = Command(
    name: "config", summary: "check, show or import the configuration",
    usage: "config check | show [--json] | import FILE.env  [--config FILE]",
    options: [.value("config"), .flag("json")]
  ) { arguments in
    switch try arguments.operand(0, "check, show or import") {
    case "check":
      _ = try AgentConfig.load(arguments)
      Files.print("the configuration is valid")
    case "show": showSettings(try AgentConfig.load(arguments), isJSON: arguments.has("json"))
    case "import": try importVariables(try arguments.operand(1, "FILE.env"))
    default: throw UsageError(description: "expected check, show or import")
    }
    return Exit.ok
  }

  private static func showSettings(_ config: AgentConfig, isJSON: Bool) {
    for setting in config.settings {
      guard isJSON else {
        Files.print("\(setting.name) = \(setting.value)    (\(setting.origin))")
        continue
      }
      var json = JSONWriter()
      json.object { json in
        json.field("key", setting.name)
        json.field("value", setting.value)
        json.field("origin", setting.origin)
      }
      Files.print(json.bytes + [10])
    }
  }

  /// Writes sidetone.conf's form of a .env file to standard output; secrets are left for files of their own.
  private static func importVariables(_ path: String) throws {
    var variables: [String: String] = [:]
    for line in String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self).split(separator: "\n") {
      let pair = line.split(separator: "=", maxSplits: 1).map { String($0).trimmed }
      if pair.count == 2, !pair[0].hasPrefix("#") { variables[pair[0]] = pair[1].trimmingQuotes }
    }
    var document = INIDocument()
    try document.override(from: variables)
    for (section, keys) in document.sections.sorted(by: { $0.key < $1.key }) {
      Files.print("[\(section)]")
      for (key, value) in keys.sorted(by: { $0.key < $1.key }) { Files.print("\(key) = \(value.text)") }
    }
    let known: Set = ["PORT", "HOST", "LOG_LEVEL", "JSON_LOGS"]
    for name in variables.keys.sorted() where !known.contains(name) && !name.hasPrefix("SIDETONE_") {
      Files.print("# \(name): not used by the rooms of this version")
    }
  }
}

extension String {
  fileprivate var trimmingQuotes: String {
    for quote in ["\"", "'"] where count >= 2 && hasPrefix(quote) && hasSuffix(quote) {
      return String(dropFirst().dropLast())
    }
    return self
  }
}
