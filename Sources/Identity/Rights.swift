// What a credential may do: one table, from which every check, every page and every document is made.

/// A right, by the name that keys and routes call it.
package enum Scope: String, CaseIterable, Sendable {
  case callsRead = "calls:read"
  case historyRead = "history:read"
  case eventsRead = "events:read"
  case callsControl = "calls:control"
  case metricsRead = "metrics:read"
  /// To see where events go; whoever may write it, or sees what the administrator sees, may read it.
  case destinationsRead = "destinations:read"
  case destinationsWrite = "destinations:write"
  /// To see what the administrator sees.
  case adminRead = "admin:read"
  /// To change it; whoever may change may see.
  case admin

  /// What a key gets that names no scopes.
  package static let standard: [Scope] = [.callsRead, .historyRead, .eventsRead]

  /// The rights of a key with these scopes.
  package static func rights(_ scopes: [String]) -> Set<String> {
    var rights = Set(scopes)
    if rights.contains(admin.rawValue) { rights.insert(adminRead.rawValue) }
    if !rights.isDisjoint(with: [destinationsWrite.rawValue, adminRead.rawValue]) {
      rights.insert(destinationsRead.rawValue)
    }
    return rights
  }
}

/// What a person is here to do.
package enum Role: String, CaseIterable, Sendable {
  case admin, supervisor, agent, viewer

  package var rights: Set<Scope> {
    switch self {
    case .admin: Set(Scope.allCases)
    case .supervisor:
      [.callsRead, .historyRead, .eventsRead, .callsControl, .metricsRead, .destinationsRead, .adminRead]
    case .agent: [.callsRead, .historyRead, .eventsRead, .callsControl]
    case .viewer: [.callsRead, .historyRead, .eventsRead, .metricsRead, .destinationsRead, .adminRead]
    }
  }
}
