// What can be wrong with reading the PBX's database, and what to do about it.

package import Health

package enum DatabaseCondition {
  package static let noWay = Condition(
    code: "threecx-database-unreachable", title: "The 3CX's database cannot be read", severity: .warning,
    remedy:
      "Check that PostgreSQL runs; let the agent's user read 3CXPhoneSystem.ini (group phonesystem), or set [threecx] database_url."
  )
  package static let unknownSchema = Condition(
    code: "threecx-database-unknown", title: "The 3CX's database is of a version that is not known", severity: .warning,
    remedy: "Call history from the PBX is off until an agent that knows this version is installed; live calls go on.")
  package static let noPrivilege = Condition(
    code: "threecx-database-forbidden", title: "The database role may not read the call records", severity: .warning,
    remedy:
      "Grant SELECT on the call record tables to the role, or give [threecx] database_url a role that may read them.")

  static let all = [noWay, unknownSchema, noPrivilege]

  static func of(_ fault: DatabaseFault) -> Condition {
    switch fault.kind {
    case .noWay, .failed: noWay
    case .unknownSchema: unknownSchema
    case .noPrivilege: noPrivilege
    }
  }
}
