package import Basics
internal import Postgres

/// Databases as a 3CX of each version has them, with the columns that the agent reads and some that it does not.
package enum PBXFixture {
  package static let output = """
    CREATE TABLE cdroutput (cdr_id uuid PRIMARY KEY, call_history_id uuid, main_call_history_id uuid, base_cdr_id uuid,
      originating_cdr_id uuid, continued_in_cdr_id uuid, source_participant_id uuid, source_entity_type varchar,
      source_dn_number varchar, source_dn_type varchar, source_dn_name varchar, source_participant_phone_number varchar,
      source_participant_trunk_did varchar, source_participant_is_incoming bool, destination_participant_id uuid,
      destination_entity_type varchar, destination_dn_number varchar, destination_dn_type varchar,
      destination_dn_name varchar, destination_participant_phone_number varchar, creation_method varchar,
      creation_forward_reason varchar, termination_reason varchar, termination_reason_details varchar,
      cdr_started_at timestamptz(6), cdr_answered_at timestamptz(6), cdr_ended_at timestamptz(6), processed bool);
    CREATE INDEX cdr_started ON cdroutput (cdr_started_at); CREATE INDEX cdr_history ON cdroutput (call_history_id);
    """

  package static let classic = """
    CREATE TABLE cl_calls (id int PRIMARY KEY, start_time timestamptz, end_time timestamptz NOT NULL, is_answered bool,
      ringing_dur interval, talking_dur interval, q_wait_dur interval);
    CREATE TABLE cl_participants (id int PRIMARY KEY, call_id int, info_id int, role int, is_inbound bool);
    CREATE TABLE cl_party_info (id int PRIMARY KEY, dn_type int, dn varchar, caller_number varchar,
      display_name varchar, did_number varchar);
    CREATE TABLE cl_segments (id int PRIMARY KEY, call_id int, seq_order int, seq_group int, src_part_id int,
      dst_part_id int, start_time timestamptz, end_time timestamptz, type int, action_id int);
    """

  package static func database(_ script: String) throws -> Secret<String> {
    let address = Secret(try PostgresServer.shared.get().makeDatabase())
    try run(script, at: address)
    return address
  }

  package static func run(_ script: String, at address: Secret<String>) throws {
    try PostgresConnection(address, connectWithin: .seconds(10), answerWithin: .seconds(300)).script(unsafe: script)
  }

  /// A leg of `cdroutput`: entity, number and kind of each side, then times in seconds after noon.
  package static func leg(
    _ call: Int, _ number: Int, from: (String, String), to: (String, String), start: Double, answer: Double?,
    end: Double, did: String = "", forward: String = "none", termination: String = "",
    base: String = "timestamptz '2026-11-01 12:00:00+00'"
  ) -> String {
    func uuid(_ kind: Int, _ value: Int) -> String {
      let hex = String(value, radix: 16)
      return "0000000\(kind)-0000-0000-0000-" + String(repeating: "0", count: 12 - hex.count) + hex
    }
    func time(_ seconds: Double?) -> String {
      seconds.map { "\(base) + interval '\($0) seconds'" } ?? "NULL"
    }
    func kind(_ entity: String) -> String { entity == "external_line" ? "provider" : entity }
    func dn(_ side: (String, String)) -> String { side.0 == "external_line" ? "10000" : side.1 }
    return """
      INSERT INTO cdroutput (cdr_id, call_history_id, main_call_history_id, source_entity_type, source_dn_number,
        source_dn_type, source_participant_phone_number, source_participant_trunk_did, destination_entity_type,
        destination_dn_number, destination_dn_type, destination_participant_phone_number, creation_method,
        creation_forward_reason, termination_reason, termination_reason_details, cdr_started_at, cdr_answered_at,
        cdr_ended_at)
      VALUES ('\(uuid(2, call * 10_000 + number))', '\(uuid(1, call))', '\(uuid(1, call))', '\(from.0)', '\(dn(from))',
        '\(kind(from.0))', '\(from.1)', '\(did)', '\(to.0)', '\(dn(to))', '\(kind(to.0))', '\(to.1)', 'call_init',
        '\(forward)', '\(termination)', 'none', \(time(start)), \(time(answer)), \(time(end)));
      """
  }
}
