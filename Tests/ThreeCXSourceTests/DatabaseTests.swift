import Basics
import CallModel
import Foundation
import Health
import Loop
import TestSupport
import Testing
import ThreeCXSource

@Suite(.serialized) struct DatabaseTests {
  init() { _ = LoopThread.isRunning }

  @LoopActor private func open(_ address: Secret<String>) -> PBXDatabase {
    var config = ThreeCXDatabaseConfig()
    (config.isOn, config.url) = (true, address)
    return PBXDatabase(config, health: HealthBoard(), region: nil)
  }

  private static func line(_ call: Call) -> String {
    let answerer = call.answeredBy.map { "\($0.kind.rawValue):\($0.id)" } ?? "-"
    return
      "\(call.direction.rawValue) \(call.from?.raw ?? "-") \(call.to?.raw ?? "-") \(answerer) \(call.queue ?? "-") \(call.disposition?.rawValue ?? "-") \(call.ringSeconds ?? -1) \(call.talkSeconds ?? -1)"
  }

  // MARK: Calls

  @Test @LoopActor func legsAreStitchedToCalls() async throws {
    let (out, agent, queue) = (("external_line", "+15550100"), ("extension", "101"), ("queue", "800"))
    let legs = [
      PBXFixture.leg(1, 1, from: agent, to: ("extension", "102"), start: 0, answer: 3, end: 10),
      // A queue that polls two agents; the second answers. The leg to the queue is "answered" by nobody.
      PBXFixture.leg(2, 1, from: out, to: queue, start: 100, answer: 100, end: 108, did: "5550199"),
      PBXFixture.leg(2, 2, from: queue, to: agent, start: 101, answer: nil, end: 105, forward: "polling"),
      PBXFixture.leg(
        2, 3, from: queue, to: ("extension", "102"), start: 105, answer: 108, end: 130, forward: "polling"),
      PBXFixture.leg(3, 1, from: out, to: queue, start: 200, answer: 200, end: 220),
      PBXFixture.leg(3, 2, from: queue, to: agent, start: 201, answer: nil, end: 220, forward: "polling"),
      PBXFixture.leg(4, 1, from: agent, to: ("external_line", "+15550177"), start: 300, answer: 306, end: 316),
      PBXFixture.leg(
        5, 1, from: agent, to: ("extension", "103"), start: 400, answer: nil, end: 420, forward: "no_answer"),
      PBXFixture.leg(5, 2, from: agent, to: ("voicemail", "103"), start: 420, answer: 421, end: 440),
      PBXFixture.leg(
        6, 1, from: agent, to: ("extension", "104"), start: 500, answer: nil, end: 504,
        termination: "src_participant_terminated"),
      PBXFixture.leg(7, 1, from: agent, to: ("extension", "104"), start: 600, answer: nil, end: 601, forward: "busy"),
    ]
    let database = open(try PBXFixture.database(PBXFixture.output + legs.joined()))
    let page = try await database.history(HistoryQuery())
    #expect(
      page.calls.map(Self.line) == [
        "internal 101 104 - - busy 1.0 0.0", "internal 101 104 - - cancelled 4.0 0.0",
        "internal 101 103 voicemail:103@default - voicemail 1.0 19.0",
        "outbound 101 +15550177 external:+15550177 - answered 6.0 10.0",
        "inbound +15550100 800 - 800 abandoned 20.0 0.0",
        "inbound +15550100 5550199 extension:102 800 answered 3.0 22.0",
        "internal 101 102 extension:102 - answered 3.0 7.0",
      ])
    #expect(page.next == nil)
  }

  @Test @LoopActor func aLoopOfThousandsOfLegsIsOneBoundedCall() async throws {
    let legs = (1...3176).map {
      PBXFixture.leg(
        1, $0, from: ("extension", "101"), to: ("extension", "\(102 + $0 % 2)"), start: Double($0) / 10, answer: nil,
        end: Double($0) / 10 + 0.1, forward: "forward_all", termination: "forwarding_loop")
    }
    let database = open(try PBXFixture.database(PBXFixture.output + legs.joined()))
    let page = try await database.history(HistoryQuery())
    try #require(page.calls.count == 1)
    #expect(page.calls[0].legs.count == 50)
    #expect(page.calls[0].externalIDs["legs"] == "3176" && page.calls[0].reason == "forwarding_loop")
  }

  /// Every call once, newest first, however small the pages, with calls whose legs overlap those of others.
  @Test(arguments: [1, 3, 7, 100]) @LoopActor func pagesHoldEveryCallOnce(_ limit: Int) async throws {
    let legs = (1...60).flatMap { call in
      (1...(call % 4 + 1)).map { leg in
        PBXFixture.leg(
          call, leg, from: ("extension", "101"), to: ("extension", "102"), start: Double(call * 10 + leg * 25),
          answer: nil, end: Double(call * 10 + leg * 25 + 5))
      }
    }
    let database = open(try PBXFixture.database(PBXFixture.output + legs.joined()))
    var (query, starts, ids) = (HistoryQuery(), [Timestamp](), [CallID]())
    query.limit = limit
    while true {
      let page = try await database.history(query)
      starts += page.calls.map(\.startedAt)
      ids += page.calls.map(\.id)
      guard let next = page.next else { break }
      query.before = (next, page.calls.last?.id ?? CallID(UUID(high: 0, low: 0)))
    }
    #expect(ids.count == 60 && Set(ids).count == 60)
    #expect(starts == starts.sorted(by: >))
  }

  @Test @LoopActor func theOlderTablesAreReadToo() async throws {
    let database = open(
      try PBXFixture.database(
        PBXFixture.classic + """
          INSERT INTO cl_calls VALUES (7, '2026-11-01 12:00:00+00', '2026-11-01 12:00:30+00', true);
          INSERT INTO cl_party_info VALUES (1, 1, '10000', '+15550100', 'Ann', '5550199'), (2, 0, '101', '', 'Bob', '');
          INSERT INTO cl_participants VALUES (1, 7, 1), (2, 7, 2);
          INSERT INTO cl_segments VALUES
            (1, 7, 1, 1, 1, 2, '2026-11-01 12:00:00+00', '2026-11-01 12:00:08+00', 1, 0),
            (2, 7, 2, 1, 1, 2, '2026-11-01 12:00:08+00', '2026-11-01 12:00:30+00', 2, 0);
          """))
    let calls = try await database.history(HistoryQuery()).calls
    #expect(calls.map(Self.line) == ["inbound +15550100 5550199 extension:101 - answered 0.0 22.0"])
    #expect(database.findings?.schema == .classic(isV20: false))
  }

  // MARK: Schema and rights

  @Test(arguments: [
    ("CREATE TABLE cl_calls (id int)", "neither cdroutput nor cl_calls"),
    ("CREATE TABLE cdroutput (cdr_id uuid, cdr_started_at timestamptz)", "lacks call_history_id"),
    ("SELECT 1", "no table can be seen"),
  ])
  @LoopActor func whatIsNotKnownIsRefused(_ script: String, _ reason: String) async throws {
    let database = open(try PBXFixture.database(script))
    let fault = await #expect(throws: DatabaseFault.self) { try await database.history(HistoryQuery()) }
    #expect(fault?.kind == .unknownSchema && fault?.description.contains(reason) == true, "\(fault as Any)")
  }

  @Test @LoopActor func aRoleThatMayNotReadTheRecordsIsNamed() async throws {
    let address = try PBXFixture.database(
      PBXFixture.output + "DROP ROLE IF EXISTS nobody_reads; CREATE ROLE nobody_reads LOGIN;")
    let database = open(Secret(address.reveal().replacing("sidetone@", with: "nobody_reads@")))
    let fault = await #expect(throws: DatabaseFault.self) { try await database.history(HistoryQuery()) }
    #expect(fault?.kind == .noPrivilege && fault?.description.contains("cdroutput") == true)
  }

  @Test @LoopActor func nothingCanBeWritten() async throws {
    let address = try PBXFixture.database(PBXFixture.output)
    let database = open(address)
    _ = try await database.history(HistoryQuery())
    #expect(try await database.isReadOnly())
  }

  @Test @LoopActor func aServerThatGoesAndComesCostsNothingElse() async throws {
    let server = try PostgresServer()
    let address = Secret(try server.makeDatabase())
    try PBXFixture.run(
      PBXFixture.output
        + PBXFixture.leg(1, 1, from: ("extension", "101"), to: ("extension", "102"), start: 0, answer: 1, end: 2),
      at: address)
    let board = HealthBoard()
    var config = ThreeCXDatabaseConfig()
    config.url = address
    let database = PBXDatabase(config, health: board, region: nil)
    #expect(try await database.history(HistoryQuery()).calls.count == 1)
    try server.stop()
    await #expect(throws: DatabaseFault.self) { try await database.history(HistoryQuery()) }
    #expect(board.conditions.map(\.condition.code) == ["threecx-database-unreachable"])
    if let seconds = ProcessInfo.processInfo.environment["SIDETONE_SOAK_DB_DOWN"].flatMap({ Int($0) }) {
      await LoopActor.loop.sleep(for: .seconds(seconds))
    }
    try server.start()
    let count: Int = try await eventually("the database") { done in
      @LoopActor func again() {
        LoopActor.begin {
          if let page = try? await database.history(HistoryQuery()) { return done(page.calls.count) }
          LoopActor.loop.after(.milliseconds(200)) { again() }
        }
      }
      again()
    }
    #expect(count == 1 && board.conditions.isEmpty)
  }

  // MARK: Ways in

  @Test(arguments: [
    "[QMDatabase]\nDBHost = 10.0.0.1\nDBPort=5433\nDBName = db\n[DbAdminREADONLY]\nUser = reader\nPassword = a=b;c'd\\e\n",
    "\u{FEFF}[qmdatabase]\r\nDBHOST=10.0.0.1\r\ndbport = 5433\r\nDBNAME=db\r\n; remark\r\n[DBADMINREADONLY]\r\nuser=\"reader\"\r\npassword = a=b;c'd\\e\r\n",
  ])
  func theINIIsReadHoweverItIsWritten(_ text: String) {
    let ini = PhoneSystemINI(parsing: Array(text.utf8))
    let targets = DatabaseTarget.all(ThreeCXDatabaseConfig(), ini: ini, configJSON: nil)
    #expect(targets.map(\.name) == ["INI [DbAdminREADONLY]", "peer socket"])
    let connection = targets[0].connection.reveal()
    #expect(connection.contains("host='10.0.0.1' port='5433' dbname='db' user='reader' password='a=b;c\\'d\\\\e'"))
    #expect(connection.contains("default_transaction_read_only=on"))
  }

  @Test func theOwnersRoleIsTakenOnlyWhereItIsAllowed() {
    let ini = PhoneSystemINI(parsing: Array("[CfgServerProfile]\nMasterDBUser=owner\nMasterDBPassword=x\n".utf8))
    var config = ThreeCXDatabaseConfig()
    #expect(DatabaseTarget.all(config, ini: ini, configJSON: nil).map(\.name) == ["peer socket"])
    config.allowsMaster = true
    #expect(
      DatabaseTarget.all(config, ini: ini, configJSON: nil).map(\.name) == ["INI [CfgServerProfile]", "peer socket"])
    config.host = "elsewhere"
    #expect(DatabaseTarget.all(config, ini: ini, configJSON: nil).map(\.name) == ["DB_* variables"])
  }

  @Test func garbageIsNoINIAndNoTrap() {
    for text in ["", "=", "[", "[]", "]x[", "\u{0}\u{0}[a]\nb", "a=b", "[a]\n=b\nc=\n"] {
      #expect(PhoneSystemINI(parsing: Array(text.utf8))["a", "b"] == nil)
    }
    #expect(PhoneSystemINI(parsing: Array(repeating: 0xFF, count: 5000)).sections.isEmpty)
  }
}
