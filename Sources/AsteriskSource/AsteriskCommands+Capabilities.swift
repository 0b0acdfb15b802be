// What this PBX and this account can do.

internal import Basics
package import CallModel

extension AsteriskCommands {
  /// From ListCommands, which names the actions this account may use; asked at most once a minute.
  private func actions() async -> Set<String>? {
    if let allowed, Moment.now() - allowedAt < .seconds(60) { return allowed }
    guard case .answered(let response) = await source.perform(AMIAction("ListCommands")), response.isSuccess else {
      return nil
    }
    allowed = Set(response.headers.map { $0.key.asciiLowercased })
    allowedAt = Moment.now()
    return allowed
  }

  package func capabilities() async -> [Capability] {
    let allowed = await actions()
    func capability(_ name: String, _ action: String) -> Capability {
      let remedy = "Give the account the class of \(action) in manager.conf: write=call,agent,reporting,originate."
      let has = allowed.map { $0.contains(action.asciiLowercased) }
      return Capability(
        name, has == nil ? .unknown : has == true ? .available : .unavailable, source: "ListCommands",
        remedy: has == true ? nil : has == nil ? "The link to Asterisk is down." : remedy)
    }
    let events = Capability(
      "events", source.isUp ? .available : .unavailable, source: "link",
      remedy: source.isUp ? nil : "The link to Asterisk is down.")
    let snapshot =
      source.denied.isEmpty
      ? capability("snapshot", "CoreShowChannels")
      : Capability(
        "snapshot", .limited, source: "denied actions",
        remedy: "Denied: \(source.denied.sorted().joined(separator: ", ")).")
    let hold =
      source.config.holdContext == nil
      ? Capability(
        "hold", .unavailable, source: "configuration",
        remedy: "Set [asterisk] hold_context; a refused hold says which dialplan lines to add.")
      : capability("hold", "Redirect")
    return [
      events, snapshot, capability("originate", "Originate"), capability("hang_up", "Hangup"),
      capability("blind_transfer", "BlindTransfer"), capability("attended_transfer", "Atxfer"), hold,
      capability("divert", "Redirect"),
      Capability("route", .unavailable, source: "protocol", remedy: "AMI has no such action; divert the call."),
      capability("park", "Park"),
      Capability("answer", .unavailable, source: "protocol", remedy: "AMI has no answer action."),
    ]
  }
}
