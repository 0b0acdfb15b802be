import Basics
import CallModel
import Foundation
import Health
import Loop
import TestSupport
import Testing
import ThreeCXSource

/// The history over many records.
@Suite(.serialized) struct HistoryScaleTests {
  init() { _ = LoopThread.isRunning }

  private static let rows = ProcessInfo.processInfo.environment["SIDETONE_SOAK_CDR_ROWS"].flatMap { Int($0) } ?? 50_000

  /// Two legs a call, a call every seven seconds.
  private static let fill = """
    INSERT INTO cdroutput (cdr_id, call_history_id, main_call_history_id, source_entity_type, source_dn_number,
      source_dn_type, source_participant_phone_number, source_participant_trunk_did, destination_entity_type,
      destination_dn_number, destination_dn_type, destination_participant_phone_number, creation_method,
      creation_forward_reason, termination_reason, termination_reason_details, cdr_started_at, cdr_answered_at,
      cdr_ended_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n / 2), 32, '0')::uuid, lpad(to_hex(n / 2), 32, '0')::uuid,
      'extension', (100 + n % 40)::text, 'extension', '', '', 'extension', (100 + (n * 7) % 40)::text, 'extension', '',
      'call_init', 'none', 'dst_participant_terminated', 'none', t, t + interval '5 seconds', t + interval '65 seconds'
    FROM generate_series(0, \(rows - 1)) n, LATERAL (SELECT timestamptz '2020-01-01' + (n / 2 * 7 + n % 2) * interval '1 second' AS t) at;
    ANALYZE cdroutput;
    """

  @Test @LoopActor func aPageIsWholeHoweverManyRecordsThereAre() async throws {
    let address = try PBXFixture.database(PBXFixture.output)
    try PBXFixture.run(Self.fill, at: address)
    var config = ThreeCXDatabaseConfig()
    config.url = address
    let database = PBXDatabase(config, health: HealthBoard(), region: nil)
    var query = HistoryQuery()
    for until in [nil, Timestamp(rfc3339: "2020-01-02T00:00:00Z")] {
      query.until = until
      let page = try await database.history(query)
      #expect(page.calls.count == 100 && page.next != nil)
      // A call every seven seconds, none left out.
      for (newer, older) in zip(page.calls, page.calls.dropFirst()) {
        #expect(newer.startedAt.seconds(since: older.startedAt) == 7)
      }
    }
    query.number = "no such number"
    #expect(try await database.history(query).calls.isEmpty)
  }
}
