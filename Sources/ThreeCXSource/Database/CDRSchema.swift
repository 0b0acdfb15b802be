// Which of 3CX's call record tables this database has. What is not recognised is refused by name and never guessed.

internal import Basics

package enum CDRSchema: Hashable, Sendable {
  /// V20 Update 6 and later: one row a leg in this table.
  case output(table: String)
  /// V18, and V20 before Update 6.
  case classic(isV20: Bool)

  package struct Unknown: Error, CustomStringConvertible {
    package let description: String
  }

  /// - Parameter columns: of every table in `public`.
  package init(columns: [String: Set<String>]) throws(Unknown) {
    for table in ["cdroutput", "cdr_output"] {
      guard let found = columns[table] else { continue }
      let missing = Self.needed.filter { !found.contains($0) }
      guard missing.isEmpty else {
        throw Unknown(description: "\(table) lacks \(missing.joined(separator: ", ")): a version that is not known yet")
      }
      self = .output(table: table)
      return
    }
    let classic = ["cl_calls", "cl_participants", "cl_party_info", "cl_segments"]
    guard classic.allSatisfy({ columns[$0] != nil }) else {
      throw Unknown(
        description: columns.isEmpty
          ? "no table can be seen: this is not a 3CX's database, or the role may see nothing"
          : "neither cdroutput nor cl_calls is there: this is not a 3CX's database, or a version that is not known yet")
    }
    self = .classic(isV20: columns["cl_calls"]?.contains("call_history_id") == true)
  }

  private static let needed = [
    "cdr_id", "call_history_id", "main_call_history_id", "source_entity_type", "source_dn_number", "source_dn_type",
    "source_participant_phone_number", "source_participant_trunk_did", "destination_entity_type",
    "destination_dn_number", "destination_dn_type", "destination_participant_phone_number", "creation_method",
    "creation_forward_reason", "termination_reason", "termination_reason_details", "cdr_started_at", "cdr_answered_at",
    "cdr_ended_at",
  ]

  package var name: String {
    switch self {
    case .output(let table): "V20 Update 6 and later (\(table))"
    case .classic(true): "V20 before Update 6 (cl_*)"
    case .classic(false): "V18 (cl_*)"
    }
  }
}
