// One read-only connection to the PBX's database, on its thread: finds a way in, looks at what is there, asks.

internal import Basics
internal import Postgres

/// What was found when connecting.
package struct DatabaseFindings: Sendable {
  package var target = ""
  package var version = ""
  package var schema: CDRSchema?
  /// Why there is no schema.
  package var schemaFault: String?
  /// Tables that the role may read.
  package var readable: Set<String> = []
  /// Of those asked for, tables that are there and may not be read.
  package var forbidden: Set<String> = []
}

package struct DatabaseFault: Error, CustomStringConvertible {
  package enum Kind: Sendable { case noWay, unknownSchema, noPrivilege, failed }
  package let kind: Kind
  package let description: String
}

final class DatabaseSession: @unchecked Sendable {
  private var connection: PostgresConnection?
  private(set) var findings = DatabaseFindings()

  /// Tables that features need, beside the call records.
  static let sideTables = [
    "cdrrecordings", "recordings", "s_voicemail", "queue", "queue2dn", "dn", "users", "extension", "fwdprofile",
    "callcent_queuecalls",
  ]

  /// Tries each way until one works.
  func connect(_ targets: [DatabaseTarget]) throws(DatabaseFault) -> DatabaseFindings {
    var reasons: [String] = []
    var blind: DatabaseTarget?
    for target in targets {
      do throws(PostgresError) {
        try open(target)
        if findings.schema != nil { return findings }
        // It may not see the records; another way may.
        blind = blind ?? target
        reasons.append("\(target.name): \(findings.schemaFault ?? "")")
      } catch {
        connection = nil
        reasons.append("\(target.name): \(error)")
      }
    }
    if let blind, (try? open(blind)) != nil { return findings }
    throw DatabaseFault(kind: .noWay, description: reasons.joined(separator: "; "))
  }

  private func open(_ target: DatabaseTarget) throws(PostgresError) {
    let made = try PostgresConnection(target.connection, connectWithin: .seconds(3), answerWithin: .seconds(12))
    // Said again here: an explicit address need not have the options in it.
    try made.script(
      unsafe:
        "SET default_transaction_read_only = on; SET statement_timeout = 10000; SET lock_timeout = 2000; SET TIME ZONE 'UTC'"
    )
    connection = made
    findings = DatabaseFindings(target: target.name)
    findings.version = try rows("SHOW server_version").first?.first?.text ?? ""
    try look()
  }

  private func look() throws(PostgresError) {
    var columns: [String: Set<String>] = [:]
    for row in try rows(
      "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2 LIMIT 20000"
    ) {
      if let table = row[0].text, let column = row[1].text { columns[table, default: []].insert(column) }
    }
    do throws(CDRSchema.Unknown) { findings.schema = try CDRSchema(columns: columns) } catch {
      findings.schemaFault = error.description
    }
    // information_schema hides what may not be read: the catalogue does not.
    let names = try rows(
      "SELECT c.relname::text, has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'v', 'm', 'p') LIMIT 5000"
    )
    for row in names {
      guard let name = row[0].text else { continue }
      if row[1].int == 1 { findings.readable.insert(name) } else { findings.forbidden.insert(name) }
    }
    let isHidden = ["cdroutput", "cdr_output", "cl_calls"].first { findings.forbidden.contains($0) }
    if let isHidden, findings.schema == nil {
      findings.schemaFault = "the role may not read \(isHidden)"
    }
  }

  /// A lost connection is forgotten; the next question makes a new one.
  func rows(_ sql: String, _ values: [SQLValue] = []) throws(PostgresError) -> [[SQLValue]] {
    guard let connection else { throw .unavailable("not connected") }
    do throws(PostgresError) {
      return try connection.rows(sql, values).rows
    } catch {
      switch error {
      case .unavailable: self.connection = nil
      case .tooSlow(let text): if !text.contains("statement timeout") { self.connection = nil }
      case .conflict, .constraint, .other: break
      }
      throw error
    }
  }

  var isConnected: Bool { connection != nil }

  func close() { connection = nil }
}
