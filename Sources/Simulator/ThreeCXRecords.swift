// The call records of a simulated 3CX: rows of `cdroutput` for the calls that it plays, as SQL, ready for psql.

internal import Basics
package import Loop

@LoopActor
package final class ThreeCXRecords {
  private struct Leg {
    let part: ThreeCXWorld.Part
    let startedAt: Timestamp
    var answeredAt: Timestamp?
  }

  private let write: @LoopActor (String) -> Void
  private var legs: [Int: Leg] = [:]
  private var lastRow = 0
  private let run = UInt32.random(in: 0...UInt32.max)

  /// - Parameter write: given each statement.
  package init(_ world: ThreeCXWorld, write: @escaping @LoopActor (String) -> Void) {
    self.write = write
    world.onChange = { [unowned self, unowned world] part, isRemoval in changed(part, isRemoval, world) }
  }

  /// The table, with the columns that 3CX's has.
  package static let schema = """
    CREATE TABLE IF NOT EXISTS cdroutput (cdr_id uuid PRIMARY KEY, call_history_id uuid, main_call_history_id uuid,
      source_entity_type varchar, source_dn_number varchar, source_dn_type varchar, source_dn_name varchar,
      source_participant_phone_number varchar, source_participant_trunk_did varchar, destination_entity_type varchar,
      destination_dn_number varchar, destination_dn_type varchar, destination_dn_name varchar,
      destination_participant_phone_number varchar, creation_method varchar, creation_forward_reason varchar,
      termination_reason varchar, termination_reason_details varchar, cdr_started_at timestamptz,
      cdr_answered_at timestamptz, cdr_ended_at timestamptz);

    """

  private func changed(_ part: ThreeCXWorld.Part, _ isRemoval: Bool, _ world: ThreeCXWorld) {
    let now = Timestamp.now()
    var leg = legs[part.id] ?? Leg(part: part, startedAt: now)
    if part.status == "Connected", leg.answeredAt == nil { leg.answeredAt = now }
    legs[part.id] = isRemoval ? nil : leg
    if isRemoval { end(leg, at: now, world) }
  }

  /// A caller's own part is no leg, but for a call that leaves the PBX or ends in a mailbox.
  private func end(_ leg: Leg, at now: Timestamp, _ world: ThreeCXWorld) {
    let part = leg.part
    let isCaller = part.status == "Dialing"
    guard !isCaller || part.partyKind == "Wexternalline" else { return }
    let own = side(part.dn, world.kinds[part.dn] ?? "Wextension", part.dn)
    let other = side(part.partyDN, part.partyKind, part.partyNumber)
    row(leg, now, source: isCaller ? own : other, destination: isCaller ? other : own)
  }

  private func side(_ dn: String, _ kind: String, _ number: String) -> [String] {
    let entity = kind == "Wexternalline" ? "external_line" : kind == "Wqueue" ? "queue" : "extension"
    return [entity, dn, entity == "external_line" ? "provider" : entity, "", number]
  }

  private func row(_ leg: Leg, _ now: Timestamp, source: [String], destination: [String]) {
    lastRow += 1
    let call = uuid(1, leg.part.callID)
    let texts =
      [uuid(2, lastRow), call, call] + source + [leg.part.did] + destination + ["call_init", "none", "", "none"]
    let times = [leg.startedAt, leg.answeredAt, now].map { $0.map { "'\($0)'" } ?? "NULL" }
    let values = texts.map { "'\($0.replacing("'", with: "''"))'" } + times
    write("INSERT INTO cdroutput VALUES (\(values.joined(separator: ", ")));\n")
  }

  private func uuid(_ kind: Int, _ number: Int) -> String {
    let (run, hex) = (String(run, radix: 16), String(number, radix: 16))
    return String(repeating: "0", count: 8 - run.count) + run + "-000\(kind)-0000-0000-"
      + String(repeating: "0", count: 12 - hex.count) + hex
  }
}
