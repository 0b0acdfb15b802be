// What a credential may do: one table, from which every check, every page and every document is made.

/// A right, by the name that keys and routes call it.
package enum Scope: String, CaseIterable, Sendable {
  case callsRead = "calls:read"
  case historyRead = "history:read"
  case eventsRead = "events:read"
  case callsControl = "calls:control"
  case metricsRead = "metrics:read"
  case destinationsWrite = "destinations:write"
  /// To see what the administrator sees.
  case adminRead = "admin:read"
  /// To change it; whoever may change may see.
  case admin

  /// What a key gets that names no scopes.
  package static let standard: [Scope] = [.callsRead, .historyRead, .eventsRead]

  /// The rights of a key with these scopes.
  package static func rights(_ scopes: [String]) -> Set<String> {
    scopes.contains(admin.rawValue) ? Set(scopes).union([adminRead.rawValue]) : Set(scopes)
  }
}

/// What a person is here to do.
package enum Role: String, CaseIterable, Sendable {
  case admin, supervisor, agent, viewer

  package var rights: Set<Scope> {
    switch self {
    case .admin: Set(Scope.allCases)
    case .supervisor: [.callsRead, .historyRead, .eventsRead, .callsControl, .metricsRead, .adminRead]
    case .agent: [.callsRead, .historyRead, .eventsRead, .callsControl]
    case .viewer: [.callsRead, .historyRead, .eventsRead, .metricsRead, .adminRead]
    }
  }
}
