// What can be wrong with the agent itself.

internal import Health

enum AgentCondition {
  static let journalNotWritable = Condition(
    code: "journal-not-writable", title: "The journal cannot write", severity: .failure,
    remedy:
      "Free space on the disk of [agent] data_dir, or mend it; the agent goes on by itself as soon as it can write.")
  static let stateUnavailable = Condition(
    code: "state-unavailable", title: "The state store cannot be used", severity: .failure,
    remedy:
      "Look after the PostgreSQL of [storage] url, or the disk of [agent] data_dir; the agent goes on by itself as soon as it answers. Calls are still heard and kept."
  )
  static let eventsLost = Condition(
    code: "events-lost", title: "Events were lost", severity: .warning,
    remedy: "The loss ledger says how many and why; the link was resynchronised. Give the data folder more space.")
  static let undeliveredLost = Condition(
    code: "undelivered-lost", title: "Retention removed events that a destination had not been given",
    severity: .failure,
    remedy: "Raise [journal] retention_mib, or mend or remove the destination; the loss ledger names the events.")
  static let configInvalid = Condition(
    code: "config-invalid", title: "The configuration file has faults; the one before goes on", severity: .warning,
    remedy: "`sidetone config check` lists them; mend the file and reload.")
  static let noPBX = Condition(
    code: "no-pbx-configured", title: "No PBX is configured", severity: .warning,
    remedy: "Set [asterisk] username and secret_file in sidetone.conf.")
  static let slowLoop = Condition(
    code: "loop-slow", title: "The event loop is slow", severity: .warning,
    remedy:
      "A turn of the loop took over 100 ms: the host is overloaded, or something blocks. See sidetone_loop_turn_seconds."
  )
}
