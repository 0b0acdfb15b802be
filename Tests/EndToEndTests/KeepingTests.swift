import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// The state kept elsewhere and brought back, and what changes while the agent runs.
@Suite(.serialized) struct KeepingTests {
  @Test func aBackupMadeWhileItRunsBringsEverythingBack() throws {
    let stage = try Stage(rate: 20, pace: 0.05)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    #expect(Client.event(agent.port, key: key) { $0.contains("call.ended") } != nil)
    let folder = TemporaryDirectory.make() + "/kept"
    let config = ["--config", stage.configPath]
    #expect(try RunningProgram.run(["backup", folder] + config).code == 0)
    #expect(try RunningProgram.run(["restore", folder] + config).code == 64, "not while it runs")
    agent.kill(SIGKILL)
    for name in try FileManager.default.contentsOfDirectory(atPath: stage.folder) where name.contains(".db") {
      try FileManager.default.removeItem(atPath: stage.folder + "/" + name)
    }
    #expect(try RunningProgram.run(["restore", folder] + config).code == 0)
    let again = try stage.startAgent()
    let page = Client.get(again.port, "/relay/events?after=0&limit=5", key: key)
    #expect(page.status == 200, "the key is known again")
    #expect(page.body.contains("\"sequence\":\"00000000000000000001\""))
  }

  @Test func aReloadTakesWhatItCanAndRefusesFaults() throws {
    let stage = try Stage(rate: 1)
    let log = stage.folder + "/log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let agent = try stage.startAgent(log: log)
    func said(_ text: String) throws -> Bool {
      let end = Moment.now() + .seconds(60)
      while Moment.now() < end {
        if try String(contentsOfFile: log, encoding: .utf8).contains(text) { return true }
        _ = Client.get(agent.port, "/livez")
      }
      return false
    }
    let good = try String(contentsOfFile: stage.configPath, encoding: .utf8)
    try (good + "\n[journal]\nretention_days = 3\n").write(toFile: stage.configPath, atomically: true, encoding: .utf8)
    agent.kill(SIGHUP)
    #expect(try said("the configuration was read again"))
    try (good + "\nnonsense = 1\n[nowhere]\nx = 1\n").write(toFile: stage.configPath, atomically: true, encoding: .utf8)
    agent.kill(SIGHUP)
    #expect(try said("the configuration has faults"))
    #expect(Client.get(agent.port, "/relay/health").body.contains("config-invalid"))
    try good.write(toFile: stage.configPath, atomically: true, encoding: .utf8)
    #expect(try RunningProgram.run(["log", "debug", "--config", stage.configPath]).code == 0)
    #expect(try RunningProgram.run(["log", "louder", "--config", stage.configPath]).code != 0)
  }

  @Test func aBundleTellsNoSecretsAndNoNumbers() throws {
    let stage = try UpstreamStage(rate: 10)
    let place = try stage.add("crm", to: 1)
    let bundle = try RunningProgram.run(["bundle", "--config", stage.stage.configPath])
    #expect(bundle.code == 0)
    for secret in [stage.key, place.secret.reveal(), "127.0.0.1:1/", "simulated"] {
      #expect(!bundle.text.contains(secret), "\(secret) is in it")
    }
    let json = try JSONValue(parsing: Array(bundle.text.utf8))
    #expect(json["version"]?.string != nil && json["health"]?["conditions"] != nil)
    #expect(json["destinations"]?["data"]?.array?.first?["name"]?.string == "crm")
  }

  @Test func theShellLearnsEveryCommand() throws {
    for shell in ["bash", "zsh", "fish"] {
      let words = try RunningProgram.run(["completion", shell])
      #expect(words.code == 0)
      for command in ["serve", "destinations", "repair"] { #expect(words.text.contains(command)) }
    }
  }
}
