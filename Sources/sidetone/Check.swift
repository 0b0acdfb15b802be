// sidetone check: a preflight that names the exact fix for whatever is not right.

internal import Agent
internal import AsteriskSource
internal import Basics
internal import CShims
internal import CallModel
internal import Config
internal import Health
internal import JSON
internal import Loop
internal import Metrics
internal import SQLite
internal import SourceKit
internal import ThreeCXSource

extension Sidetone {
  static let check = Command(
    name: "check", summary: "see whether everything is in place, and how to mend what is not",
    usage: "check [--json] [--config FILE]", options: [.flag("json"), .value("config")], takesOperands: false
  ) { arguments in
    let preflight = Preflight(isJSON: arguments.has("json"))
    do {
      let config = try AgentConfig.load(arguments)
      preflight.say(.ok, "configuration", "valid")
      preflight.checkFolder(config)
      preflight.checkFiles(config)
      await preflight.checkAgent(config)
      await preflight.checkPBX(config)
      preflight.checkWebServer()
    } catch let faults as ConfigFaults {
      for fault in faults.faults { preflight.say(.broken, "configuration", fault.description) }
      return Exit.badConfig
    }
    return preflight.exitCode
  }
}

@LoopActor
private final class Preflight {
  enum Verdict: String { case ok, warning, broken }

  let isJSON: Bool
  private(set) var exitCode = Exit.ok

  init(isJSON: Bool) { self.isJSON = isJSON }

  func say(_ verdict: Verdict, _ subject: String, _ text: String, remedy: String? = nil) {
    if verdict == .warning { exitCode = max(exitCode, Exit.warnings) }
    if verdict == .broken { exitCode = Exit.broken }
    guard !isJSON else { return sayJSON(verdict, subject, text, remedy) }
    let mark = verdict == .ok ? "✓" : verdict == .warning ? "!" : "✗"
    Files.print("\(mark) \(subject): \(text)")
    if let remedy { Files.print("    → \(remedy)") }
  }

  private func sayJSON(_ verdict: Verdict, _ subject: String, _ text: String, _ remedy: String?) {
    var json = JSONWriter()
    json.object { json in
      json.field("check", subject)
      json.field("verdict", verdict.rawValue)
      json.field("text", text)
      json.field("remedy", remedy)
    }
    Files.print(json.bytes + [10])
  }

  func checkFolder(_ config: AgentConfig) {
    do {
      try Files.makeFolder(config.dataFolder)
      let probe = config.dataFolder + "/.check"
      try Files.writePrivate(probe, [1])
      Files.remove(probe)
      say(.ok, "data folder", "\(config.dataFolder) can be written")
    } catch {
      say(
        .broken, "data folder", error.description,
        remedy: "Make [agent] data_dir a folder that the agent's user can write.")
    }
  }

  /// A look at their beginning; a file that is damaged further in shows when it is read there.
  func checkFiles(_ config: AgentConfig) {
    for (name, path) in [("journal", config.journalPath), ("state", config.statePath)] where Files.exists(path) {
      do {
        let tables = try Database(lookingAt: path).rows("SELECT count(*) FROM sqlite_schema").first?[0].int ?? 0
        say(.ok, name, "\(path) can be read\(tables == 0 ? "; it is empty" : "")")
      } catch {
        say(
          .broken, name, "\(path): \(error)",
          remedy: "Bring a backup back with sidetone restore, or move the file away to begin anew.")
      }
    }
  }

  func checkAgent(_ config: AgentConfig) async {
    do {
      let health = try await ControlClient(config).call("GET", "/relay/health")
      say(.ok, "agent", "running, \(health["status"]?.string ?? "?")")
    } catch {
      guard case .tcp(let host, let port) = config.listen else { return }
      do throws(StreamFailure) {
        let listener = try Listener(at: .tcp(host: host, port: port)) { $0.close() }
        listener.close()
        say(.ok, "agent", "not running; \(host):\(port) is free")
      } catch {
        say(.broken, "agent", "not running, and \(error)", remedy: "Set [http] listen to a free address and port.")
      }
    }
  }

  func checkPBX(_ config: AgentConfig) async {
    if config.threecx.isOn || config.threecxDatabase.isOn {
      for finding in await ThreeCXPreflight(config.threecx, config.threecxDatabase).run() {
        say(
          Verdict(rawValue: finding.verdict.rawValue) ?? .broken, finding.subject, finding.text, remedy: finding.remedy)
      }
      if !config.asterisk.isOn { return }
    }
    guard config.asterisk.isOn else {
      return say(
        .warning, "pbx", "not configured",
        remedy: "Set [asterisk] username and secret_file, or [threecx] url, client_id and client_secret_file.")
    }
    await checkAsterisk(config.asterisk)
  }

  func checkWebServer() {
    switch WebServerSnippet.state {
    case .notInstalled: break
    case .intact: say(.ok, "web server", "the snippet is as it was installed")
    case .missing:
      say(
        .broken, "web server", "the snippet is gone: an update of the PBX may have wiped it",
        remedy: "sudo sidetone repair")
    case .changed:
      say(.warning, "web server", "the snippet was changed", remedy: "If that was not you: sudo sidetone repair")
    }
  }

  private func checkAsterisk(_ config: AsteriskSourceConfig) async {
    let (health, outlet) = (HealthBoard(), Discarding())
    let source = AsteriskSource(config, outlet: outlet, health: health, metrics: MetricRegistry())
    source.start()
    for _ in 0..<50 where !source.isUp && !health.conditions.contains(where: { $0.condition.severity == .failure }) {
      await LoopActor.loop.sleep(for: .milliseconds(100))
    }
    guard source.isUp else {
      let raised = health.conditions.first
      source.stop()
      return say(
        .broken, "asterisk", "\(raised?.condition.title ?? "no answer"): \(raised?.detail ?? "")",
        remedy: raised?.condition.remedy)
    }
    say(.ok, "asterisk", "logged in at \(config.host):\(config.port)")
    await reportCapabilities(of: source)
    source.stop()
  }

  private func reportCapabilities(of source: AsteriskSource) async {
    let commands = AsteriskCommands(source)
    for capability in await commands.capabilities() {
      let isFine = capability.state == .available || capability.name == "answer"
      say(
        isFine ? .ok : .warning, "asterisk \(capability.name)", capability.state.rawValue,
        remedy: isFine ? nil : capability.remedy)
    }
  }
}

private final class Discarding: SourceOutlet {
  func observe(_ observations: [Observation]) {}
}
