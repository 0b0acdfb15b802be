// What a credential may do: one list, from which every check and every document is made.

package enum Scope: String, CaseIterable, Sendable {
  case callsRead = "calls:read"
  case historyRead = "history:read"
  case eventsRead = "events:read"
  case callsControl = "calls:control"
  case metricsRead = "metrics:read"
  case destinationsWrite = "destinations:write"
  case admin

  /// What a key gets that names no scopes.
  package static let standard: [Scope] = [.callsRead, .historyRead, .eventsRead]
}
