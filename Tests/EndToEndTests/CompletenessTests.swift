import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// The agent beside a 3CX whose records can be read.
@Suite(.serialized) struct CompletenessTests {
  private static func records(_ legs: String...) throws -> Secret<String> {
    try PBXFixture.database(PBXFixture.output + legs.joined())
  }

  private static let recently = "date_trunc('second', now()) - interval '300 seconds'"

  private static let missed = PBXFixture.leg(
    1, 1, from: ("external_line", "+15550100"), to: ("extension", "101"), start: 0, answer: 5, end: 25, did: "5550199",
    base: recently)

  @Test func aCallThatNobodyHeardIsToldOnceAndInferred() throws {
    let stage = try ThreeCXStage("--rate", "0.001", more: "database_url = \(try Self.records(Self.missed).reveal())")
    let (port, key) = (stage.agent.port, stage.key)
    let first = try stage.tell("reconcile", "--json")
    #expect(first.contains("\"recorded\":1") && !first.contains("\"missing\":[]"), "\(first)")
    let ended = try #require(Client.event(port, key: key) { $0.contains("call.ended") && $0.contains("+15550100") })
    #expect(ended.contains("\"inferred\":true") && ended.contains("\"did\":\"5550199\""))
    // Once more finds nothing to do.
    #expect(try stage.tell("reconcile", "--hour", "--json").contains("\"missing\":[]"))
    let history = Client.get(port, "/relay/call-history?start=2020-01-01", key: key).body
    let rows = try JSONValue(parsing: Array(history.utf8))["data"]?.array?.filter { $0["did"]?.string == "5550199" }
    #expect(rows?.count == 1 && rows?.first?["origin"]?.string == "both", "\(history.prefix(600))")
  }

  @Test func aCallThatWasHeardLearnsItsNumberAndItsEnd() throws {
    let address = try Self.records()
    let stage = try ThreeCXStage("--rate", "0.001", more: "database_url = \(address.reveal())\nreconcile_secs = 1")
    let (port, key) = (stage.agent.port, stage.key)
    _ = try #require(Client.event(port, key: key) { $0.contains("link.up") })
    let made = Client.get(
      port, "/relay/calls", key: key, method: "POST", body: "{\"from\":\"138\",\"to\":\"139\"}")
    let id = try #require(try JSONValue(parsing: Array(made.body.utf8))["id"]?.string)
    _ = Client.event(port, key: key) { $0.contains("call.started") && $0.contains(id) }
    _ = Client.get(port, "/relay/calls/\(id)", key: key, method: "DELETE")
    let ended = try #require(Client.event(port, key: key) { $0.contains("call.ended") && $0.contains(id) })
    let began = try #require(try JSONValue(parsing: Array(ended.utf8))["data"]?["call"]?["started_at"]?.string)
    // The records state the times by which the comparison is due; its delay is passed by an end in the past.
    try PBXFixture.run(
      PBXFixture.leg(
        1, 1, from: ("extension", "138"), to: ("extension", "139"), start: 0, answer: 1, end: -60,
        base: "timestamptz '\(began)'"), at: address)
    let report = try stage.tell("reconcile", "--json")
    #expect(report.contains("call_history_id") && report.contains("\"missing\":[]"), "\(report)")
    let updated = Client.event(port, key: key) { $0.contains("call.updated") && $0.contains(id) }
    #expect(updated?.contains("call_history_id") == true)
    #expect(!Client.get(port, "/relay/active-calls", key: key).body.contains(id))
  }

  private static let people = """
    CREATE TABLE dn (iddn int, value varchar);
    CREATE TABLE extension (fkiddn int, enabled bool, qstatus int);
    CREATE TABLE queue (fkiddn int, name varchar);
    CREATE TABLE queue2dn (fkidqueue int, fkiddn int, is_logged_in bool);
    CREATE TABLE s_voicemail (id int, wav_file varchar, caller varchar, callee varchar, duration varchar,
      created_time varchar, heard varchar, removed varchar);
    INSERT INTO dn VALUES (1, '800'), (2, '101'), (3, '102');
    INSERT INTO extension VALUES (2, true, 1), (3, true, 0);
    INSERT INTO queue2dn VALUES (1, 2, true), (1, 3, true);
    INSERT INTO s_voicemail VALUES (1, 'old.wav', '102', '101', '1000', '20200101000000.00', '1', NULL);
    """

  @Test func agentsAndMailboxesAreWatched() throws {
    let address = try PBXFixture.database(PBXFixture.output + Self.people)
    let stage = try ThreeCXStage("--rate", "0.001", replacing: "url =", more: "database_url = \(address.reveal())")
    let (port, key) = (stage.agent.port, stage.key)
    // Logged in to the queue, but with the queue status off.
    let second = Client.event(port, key: key) { $0.contains("agent.status") && $0.contains("\"102\"") }
    #expect(second?.contains("logged_out") == true)
    let first = Client.event(port, key: key) { $0.contains("agent.status") && $0.contains("\"101\"") }
    #expect(first?.contains("logged_in") == true)
    try PBXFixture.run(
      """
      UPDATE queue2dn SET is_logged_in = false WHERE fkiddn = 2;
      INSERT INTO s_voicemail VALUES (2, 'new.wav', '+15550100', '101', '4250',
        to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') || '.25', '', '');
      """, at: address)
    let left = Client.event(port, key: key) { $0.contains("\"101\"") && $0.contains("logged_out") }
    #expect(left != nil)
    let message = try #require(Client.event(port, key: key) { $0.contains("voicemail.received") })
    for part in [
      "\"mailbox\":\"101\"", "\"caller\":\"+15550100\"", "\"duration\":4.25", "new.wav", "\"new_messages\":1",
    ] {
      #expect(message.contains(part), "\(message)")
    }
  }

  @Test func aRecordingIsToldWithTheSizeAndTheChecksumOfItsFile() throws {
    let folder = TemporaryDirectory.make()
    try "RIFF".write(toFile: folder + "/call.wav", atomically: true, encoding: .utf8)
    let records = try Self.records(
      Self.missed,
      "CREATE TABLE recordings (id_recording int, recording_url varchar, end_time timestamptz, cdr_id uuid);",
      "INSERT INTO recordings SELECT n, u, now(), cdr_id FROM cdroutput, (VALUES (1, 'call.wav'), (2, '../../etc/passwd')) f (n, u);"
    )
    let stage = try ThreeCXStage(
      "--rate", "0.001", more: "database_url = \(records.reveal())\nrecordings_dir = \(folder)")
    _ = try stage.tell("reconcile")
    _ = try stage.tell("reconcile")
    var seen = 0
    let second = Client.event(stage.agent.port, key: stage.key) { json in
      guard json.contains("call.recording.completed") else { return false }
      seen += 1
      if seen == 1 {
        #expect(json.contains("\"bytes\":4"), "\(json)")
        #expect(json.contains("a40ff3d5900fb7698b8c865041347cb49eccedc8f93945f89629ad104aaecce4"))
      }
      return seen == 2
    }
    // What would lie outside the folder is named and not opened.
    #expect(second?.contains("sha256") == false)
  }

  /// The simulated PBX writes its own records; what the agent heard over a bad socket is held against them.
  @Test func nothingThatThePBXRecordedIsMissing() throws {
    let path = TemporaryDirectory.make() + "/cdr.sql"
    let address = try Self.records()
    let stage = try ThreeCXStage(
      "--rate", "30", "--pace", "0.05", "--calls", "60", "--drop", "0.02", "--close-every", "0.7", "--cdr-sql", path,
      more: "database_url = \(address.reveal())")
    var (begun, ended): (Set<String>, Set<String>) = ([], [])
    _ = Client.event(stage.agent.port, key: stage.key) { text in
      guard let json = try? JSONValue(parsing: Array(text.utf8)), let subject = json["subject"]?.string,
        subject.hasPrefix("call/")
      else { return false }
      begun.insert(subject)
      if json["type"]?.string == "call.ended" { ended.insert(subject) }
      return begun.count > 40 && begun == ended
    }
    stage.pbx.kill(SIGTERM)
    let script = try String(contentsOfFile: path, encoding: .utf8)
    // Ended long enough ago to be compared.
    try PBXFixture.run(
      "DROP TABLE cdroutput;" + script + "UPDATE cdroutput SET cdr_ended_at = cdr_ended_at - interval '90 seconds'",
      at: address)
    let calls = Set(script.split(separator: "\n").compactMap { $0.split(separator: ", ").dropFirst().first }).count - 1
    let first = try stage.tell("reconcile")
    let second = try stage.tell("reconcile")
    print("\(calls) recorded, \(begun.count) heard; first: \(first.split(separator: "\n").last ?? "")")
    #expect(second.contains(" 0 missed, 0 completed"), "\(second)")
  }

  /// By the server's own log: the agent asks and does nothing else.
  @Test func theServerSeesNothingButQuestions() throws {
    let server = try PostgresServer(isLogging: true)
    let address = try server.makeDatabase() + "&application_name=sidetone"
    try PBXFixture.run(
      PBXFixture.output + Self.people + Self.missed, at: Secret(address.replacing("=sidetone", with: "=setup")))
    let stage = try ThreeCXStage("--rate", "0.001", replacing: "url =", more: "database_url = \(address)")
    _ = Client.event(stage.agent.port, key: stage.key) { $0.contains("agent.status") }
    _ = try stage.tell("reconcile")
    _ = Client.get(stage.agent.port, "/relay/call-history?start=2020-01-01", key: stage.key)
    _ = Client.get(stage.agent.port, "/api/capabilities", key: stage.key)
    let said = server.log.split(separator: "\n").filter { $0.hasPrefix("sidetone|LOG:") && !$0.contains("duration:") }
    let statements = said.compactMap { line in
      line.split(separator: ": ", maxSplits: 2).last.map { $0.drop { $0 == " " } }
    }
    let kinds = Set(statements.map { $0.prefix { $0.isLetter }.uppercased() })
    print("\(statements.count) statements: \(kinds.sorted().joined(separator: ", "))")
    #expect(kinds.isSubset(of: ["SELECT", "SET", "SHOW"]) && kinds.contains("SELECT"), "\(kinds)")
    #expect(said.contains { $0.contains("default_transaction_read_only = on") })
  }

  /// A licence without an API: no live link, and nothing wrong.
  @Test func aHostWithoutAPIStillServesItsHistory() throws {
    let stage = try ThreeCXStage(
      "--rate", "0.001", replacing: "url =", more: "database_url = \(try Self.records(Self.missed).reveal())")
    let (port, key) = (stage.agent.port, stage.key)
    let history = Client.get(port, "/relay/call-history?start=2020-01-01", key: key).body
    #expect(history.contains("+15550100") && history.contains("\"origin\":\"cdr\""), "\(history.prefix(400))")
    let health = Client.get(port, "/relay/health").body
    #expect(health.contains("\"status\":\"ok\"") && health.contains("3cx-database"), "\(health)")
    #expect(try stage.tell("reconcile").contains("1 recorded, 1 missed"))
    let able = Client.get(port, "/api/capabilities", key: key).body
    for part in ["Enterprise licence", "call_history", "V20 Update 6", "Grant SELECT on s_voicemail"] {
      #expect(able.contains(part), "\(able)")
    }
    #expect(Client.event(port, key: key) { $0.contains("call.ended") } != nil)
  }
}
