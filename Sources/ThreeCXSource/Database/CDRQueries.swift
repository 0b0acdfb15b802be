// The questions to the call records, for each schema the same answer: legs. Times leave the database as microseconds of
// UTC; every question has a limit.

internal import Basics

extension CDRSchema {
  /// Legs that started before `$1` and not before `$2` (microseconds), newest first, at most `$3`.
  var newestLegs: String {
    select(
      "t.started < to_timestamp($1 / 1e6) AND t.started >= to_timestamp($2 / 1e6)", "t.started DESC, t.id DESC LIMIT $3"
    )
  }

  /// Legs that ended from `$1` (microseconds) and after it with an id above `$2`, oldest first, at most `$3`.
  var endedLegs: String {
    select(
      "t.ended >= to_timestamp($1 / 1e6) AND (t.ended > to_timestamp($1 / 1e6) OR t.id::text > $2)",
      "t.ended, t.id LIMIT $3")
  }

  /// All legs of the calls `$1` (comma-separated ids) that started between `$2` and `$3`, at most `$4`.
  var legsOfCalls: String {
    select(
      "t.call_key = ANY (string_to_array($1, ',')\(keyCast)) AND t.started >= to_timestamp($2 / 1e6) AND t.started <= to_timestamp($3 / 1e6)",
      "t.started, t.id LIMIT $4")
  }

  private var keyCast: String { if case .output = self { "::uuid[]" } else { "::int[]" } }

  private func select(_ condition: String, _ order: String) -> String {
    """
    SELECT t.id::text, t.call_key::text, t.main_key::text, \(Self.micros("t.started")), \(Self.micros("t.answered")),
      \(Self.micros("t.ended")), t.s_entity::text, t.s_dn::text, t.s_kind::text, t.s_name::text, t.s_number::text, t.s_did::text,
      t.d_entity::text, t.d_dn::text, t.d_kind::text, t.d_name::text, t.d_number::text, t.d_did::text,
      t.creation::text, t.forward_reason::text, t.termination::text, t.details::text
    FROM (\(legs)) t
    WHERE \(condition)
    ORDER BY \(order)
    """
  }

  private static func micros(_ column: String) -> String { "(extract(epoch FROM \(column)) * 1000000)::int8" }

  private var legs: String {
    switch self {
    case .output(let table):
      """
      SELECT cdr_id AS id, call_history_id AS call_key, main_call_history_id AS main_key, cdr_started_at AS started,
        cdr_answered_at AS answered, cdr_ended_at AS ended, source_entity_type AS s_entity, source_dn_number AS s_dn,
        source_dn_type AS s_kind, source_dn_name AS s_name, source_participant_phone_number AS s_number,
        source_participant_trunk_did AS s_did, destination_entity_type AS d_entity, destination_dn_number AS d_dn,
        destination_dn_type AS d_kind, destination_dn_name AS d_name,
        destination_participant_phone_number AS d_number, '' AS d_did, creation_method AS creation,
        creation_forward_reason AS forward_reason, termination_reason AS termination,
        termination_reason_details AS details
      FROM \(table)
      """
    case .classic:
      """
      SELECT g.id AS id, g.call_id AS call_key, g.call_id AS main_key, g.start_time AS started,
        CASE WHEN g.type = 2 THEN g.start_time END AS answered, g.end_time AS ended,
        \(Self.entity("si")) AS s_entity, si.dn AS s_dn, \(Self.entity("si")) AS s_kind, si.display_name AS s_name,
        si.caller_number AS s_number, si.did_number AS s_did,
        \(Self.entity("di")) AS d_entity, di.dn AS d_dn, \(Self.entity("di")) AS d_kind, di.display_name AS d_name,
        di.caller_number AS d_number, '' AS d_did, '' AS creation, '' AS forward_reason, '' AS termination, '' AS details
      FROM cl_segments g
      JOIN cl_participants sp ON sp.id = g.src_part_id
      JOIN cl_party_info si ON si.id = sp.info_id
      JOIN cl_participants dp ON dp.id = g.dst_part_id
      JOIN cl_party_info di ON di.id = dp.info_id
      """
    }
  }

  /// Codes of `dn_type`: 0 extension, 1 external line, 4 queue, 5 voicemail, 6 IVR, 13 inbound routing.
  private static func entity(_ info: String) -> String {
    "CASE \(info).dn_type WHEN 0 THEN 'extension' WHEN 1 THEN 'external_line' WHEN 4 THEN 'queue' WHEN 5 THEN 'voicemail' WHEN 6 THEN 'ivr' WHEN 13 THEN 'inbound_routing' ELSE 'unknown' END"
  }

  static func leg(_ row: [SQLValue]) -> CDRLeg? {
    guard row.count == 22, let started = row[3].time, row[1].text?.isEmpty == false else { return nil }
    func text(_ index: Int) -> String { row[index].text ?? "" }
    func side(_ start: Int) -> CDRLeg.Side {
      var side = CDRLeg.Side()
      (side.entity, side.dn, side.dnKind) = (text(start), text(start + 1), text(start + 2))
      (side.name, side.number, side.did) = (text(start + 3), text(start + 4), text(start + 5))
      return side
    }
    var leg = CDRLeg()
    (leg.id, leg.call, leg.mainCall) = (text(0), text(1), text(2))
    (leg.startedAt, leg.answeredAt, leg.endedAt) = (started, row[4].time, row[5].time)
    (leg.source, leg.destination) = (side(6), side(12))
    (leg.creation, leg.forwardReason, leg.termination, leg.details) = (text(18), text(19), text(20), text(21))
    return leg
  }
}
