import Agent
import AsteriskSource
import Basics
import Config
import Foundation
import Log
import Loop
import TestSupport
import Testing

@Suite struct ConfigTests {
  private func faults(_ text: String, _ environment: [String: String] = [:]) -> [String] {
    do {
      var document = try INIDocument(parsing: text)
      try document.override(from: environment)
      _ = try AgentConfig(document)
      return []
    } catch { return error.faults.map(\.description) }
  }

  @Test func theInstalledFileHoldsExactlyTheDefaults() throws {
    let path = Fixtures.root.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
      "etc/sidetone.conf"
    ).path
    let installed = try AgentConfig(INIDocument(parsing: String(decoding: try Files.read(path), as: UTF8.self)))
    let defaults = try AgentConfig(INIDocument())
    #expect(installed.settings.map { "\($0.name)=\($0.value)" } == defaults.settings.map { "\($0.name)=\($0.value)" })
    #expect(installed.settings.allSatisfy { $0.origin == "file" })
  }

  @Test func allFaultsAreSaidAtOnceWithTheirLines() {
    let found = faults(
      "[http]\nlisten = nowhere\nlistn = 1\n[log]\nlevel = loud\n[journal]\nretention_days = x\n[asterisk]\nusername = a\nsecret = b\n"
    )
    #expect(found.count == 6)
    #expect(found.contains { $0.hasPrefix("line 2: [http] listen") })
    #expect(found.contains { $0.contains("[http] listn: no such key") })
    #expect(found.contains { $0.contains("a secret does not stand in the configuration file") })
  }

  @Test(arguments: [
    "[http]\ntrusted_proxies = 127.0.0.1, nginx\n", "[upstream]\nproxy = ftp://proxy:21\n",
    "[upstream]\nproxy = http://:3128\n", "[upstream]\nproxy = http://proxy:0\n", "[upstream]\nproxy = a proxy\n",
    "[upstream]\nproxy = http://proxy:x\n",
  ]) func whatCannotBeAProxyIsNamed(_ text: String) { #expect(faults(text).count == 1) }

  @Test(arguments: [
    "http://proxy:3128", "http://proxy:3128/", "socks5h://[::1]:1080", "proxy", "10.0.0.1:8080", "https://[fd00::1]",
    "http://one:word@proxy.example:3128",
  ]) func proxiesAreWhatLibcurlTakes(_ text: String) { #expect(faults("[upstream]\nproxy = \(text)\n").isEmpty) }

  @Test func theEnvironmentLiesOverTheFile() throws {
    var document = try INIDocument(parsing: "[http]\nlisten = 127.0.0.1:1\n")
    try document.override(from: ["SIDETONE_HTTP__LISTEN": "127.0.0.1:2", "PORT": "3", "JSON_LOGS": "true"])
    let config = try AgentConfig(document)
    #expect(config.listen == .tcp(host: "127.0.0.1", port: 2))
    #expect(config.logFormat == .json)
    #expect(config.settings.first { $0.name == "[http] listen" }?.origin == "SIDETONE_HTTP__LISTEN")
  }

  @Test func theOldNamesOfPortAndHostAreUnderstood() throws {
    var document = INIDocument()
    try document.override(from: ["PORT": "9000", "HOST": "0.0.0.0"])
    #expect(try AgentConfig(document).listen == .tcp(host: "0.0.0.0", port: 9000))
  }

  @Test func twoDifferentSecretsOfOneMeaningAreRefused() {
    #expect(faults("", ["ADMIN_SECRET": "a", "JWT_SECRET": "b"]).count == 1)
    let long = String(repeating: "s", count: 32)
    #expect(faults("", ["ADMIN_SECRET": long, "JWT_SECRET": long]).isEmpty)
    #expect(faults("", ["JWT_SECRET": "short"]).count == 1)
  }

  @Test func whoSignsInAtAProxyIsNotShown() throws {
    let config = try AgentConfig(INIDocument(parsing: "[upstream]\nproxy = http://one:w@rd@proxy:3128\n"))
    #expect(config.settings.first { $0.name == "[upstream] proxy" }?.value == "http://…@proxy:3128")
  }

  @Test func aSecretIsNeverAmongTheSettings() throws {
    var document = try INIDocument(parsing: "[asterisk]\nusername = x\n")
    try document.override(from: ["SIDETONE_ASTERISK__SECRET": "hunter2"])
    let config = try AgentConfig(document)
    #expect(config.asterisk.secret?.reveal() == "hunter2")
    #expect(!"\(config)".contains("hunter2"))
    #expect(!config.settings.contains { $0.value.contains("hunter2") })
  }

  @Test(arguments: ["[a\n", "key = 1\n", "[a]\nnothing\n", "[a]\nx = 1\nx = 2\n", "[]\n"]) func aMalformedFileIsRefused(
    text: String
  ) {
    #expect(!faults(text).isEmpty)
  }
}
