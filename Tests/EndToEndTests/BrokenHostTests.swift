import Foundation
import Stagecraft
import TestSupport
import Testing

/// `sidetone check` beside 3CX hosts on which something is not right: it names the fix and ends with 2.
@Suite(.serialized) struct BrokenHostTests {
  /// What differs from a good host.
  struct Host: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var pbx: [String] = []
    var lines: [String: String] = [:]
    let says: String
    let fix: String
  }

  static let hosts = [
    Host(
      testDescription: "no licence", pbx: ["--no-call-control", "--no-xapi"], says: "Call Control is not allowed",
      fix: "Enterprise licence"),
    Host(testDescription: "wrong role", pbx: ["--no-xapi"], says: "may not read", fix: "System Owner"),
    Host(
      testDescription: "wrong key", lines: ["client_id": "nobody"], says: "refuses the client id",
      fix: "client_secret_file"
    ),
    Host(
      testDescription: "wrong FQDN", lines: ["url": "https://elsewhere.invalid:5001"], says: "does not answer",
      fix: "[threecx] url"),
    Host(
      testDescription: "port closed", lines: ["url": "http://127.0.0.1:1"], says: "does not answer",
      fix: "3CX services run"),
    Host(
      testDescription: "clock off", pbx: ["--clock-ahead", "3000"], says: "clock and the 3CX's differ",
      fix: "timedatectl"),
    Host(
      testDescription: "INI missing", lines: ["ini_path": "/nowhere/3CXPhoneSystem.ini", "database": "yes"],
      says: "there is no /nowhere", fix: "group phonesystem"),
    Host(
      // Not even root can read a folder as a file.
      testDescription: "INI unreadable", lines: ["ini_path": "/tmp", "database": "yes"], says: "/tmp cannot be read",
      fix: "group phonesystem"),
    Host(
      testDescription: "PostgreSQL down", lines: ["database_url": "postgresql://reader@127.0.0.1:1/database_single"],
      says: "database cannot be read", fix: "PostgreSQL runs"),
  ]

  @Test(arguments: hosts) func theFixIsNamed(_ host: Host) throws {
    let check = try Self.check(host.pbx, host.lines)
    #expect(check.code == 2 && check.text.contains(host.says) && check.text.contains(host.fix), "\(check.text)")
  }

  @Test func aCertificateForAnotherNameIsNamed() throws {
    let server = try TLSServer(name: "other.example.com", mode: "-www")
    let check = try Self.check(
      [],
      [
        "url": "https://pbx.example.com:\(server.port)", "connect_to": "127.0.0.1:\(server.port)",
        "ca_file": server.caFile,
      ])
    #expect(check.code == 2 && check.text.contains("certificate cannot be trusted"), "\(check.text)")
    #expect(check.text.contains("the name the certificate is for"))
  }

  @Test(arguments: ["", "[QMDatabase", "\u{0}\u{0}"]) func anINIThatIsCutOffIsNamed(_ text: String) throws {
    let path = TemporaryDirectory.make() + "/3CXPhoneSystem.ini"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    let check = try Self.check([], ["ini_path": path, "database": "yes"])
    #expect(check.code == 2 && check.text.contains("it may be cut off"), "\(check.text)")
  }

  @Test(arguments: [
    ("CREATE TABLE cdroutput (cdr_id uuid)", "sidetone", "version that is not known"),
    (
      "CREATE TABLE cdroutput (cdr_id uuid); DROP ROLE IF EXISTS reads_nothing; CREATE ROLE reads_nothing LOGIN",
      "reads_nothing", "may not read"
    ),
  ])
  func aDatabaseThatCannotBeReadIsNamed(_ script: String, _ role: String, _ says: String) throws {
    let address = try PostgresServer.shared.get().makeDatabase(script)
    let check = try Self.check([], ["database_url": address.replacing("sidetone@", with: role + "@")])
    #expect(check.code == 2 && check.text.contains(says), "\(check.text)")
  }

  @Test func aGoodHostIsGood() throws {
    let check = try Self.check([], [:])
    #expect(check.code == 0 && check.text.contains("41 extensions may be seen"), "\(check.text)")
  }

  private static func check(_ options: [String], _ lines: [String: String]) throws -> (code: Int32, text: String) {
    let pbx = try RunningProgram(["simulate", "3cx", "--listen", "127.0.0.1:0", "--rate", "0.001"] + options)
    defer { pbx.kill(SIGTERM) }
    let folder = TemporaryDirectory.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try "simulated".write(toFile: folder + "/secret", atomically: true, encoding: .utf8)
    let good = [
      "url": "http://127.0.0.1:\(pbx.port)", "client_id": "sidetone", "client_secret_file": folder + "/secret",
    ]
    let all = good.merging(lines) { $1 }.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
    let path = folder + "/sidetone.conf"
    try "[agent]\ndata_dir = \(folder)\n[http]\nlisten = 127.0.0.1:0\n[threecx]\n\(all.joined(separator: "\n"))\n"
      .write(
        toFile: path, atomically: true, encoding: .utf8)
    return try RunningProgram.run(["check", "--config", path])
  }
}
