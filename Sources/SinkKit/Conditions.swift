// What can be wrong on the way upstream.

internal import Health

enum SinkCondition {
  static let failing = Condition(
    code: "destination-failing", title: "A destination does not take events; they are kept", severity: .warning,
    remedy: "See its delivery log for the answers; nothing is lost, and delivery goes on by itself once it answers.")
  static let gone = Condition(
    code: "destination-gone", title: "A destination answered 410 and is stopped", severity: .failure,
    remedy: "Resume it when its address is right again, or remove it; its events are kept until then.")
  static let silent = Condition(
    code: "destination-silent", title: "No sign of life has reached a destination for some time", severity: .failure,
    remedy: "See its delivery log, and whether its address can be reached from this host.")
  static let setAside = Condition(
    code: "deliveries-set-aside", title: "A destination refused events; they are set aside", severity: .warning,
    remedy: "Look at the list of those set aside, mend the receiver, then replay them or let them go.")
  static let unsaved = Condition(
    code: "deliveries-unsaved", title: "What destinations acknowledged cannot be kept; deliveries wait",
    severity: .failure, remedy: "The state store cannot be written: free disk space, or see why its database is away.")
  static let broken = Condition(
    code: "destination-unusable", title: "A destination cannot be used as it is configured", severity: .failure,
    remedy: "The detail says which key or library is at fault; its events are kept.")
}
