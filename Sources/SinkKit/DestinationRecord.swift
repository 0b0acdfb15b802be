// A destination as the administrator made it: where to, what, how fast.

package import Basics
package import CallModel

package struct DestinationRecord: Sendable, Hashable {
  package enum Kind: String, Sendable, CaseIterable { case webhook, nats, kafka }
  /// Who may change it: the API, or the configuration file alone.
  package enum Origin: String, Sendable { case api, file }
  package enum BodyForm: String, Sendable, CaseIterable { case cloudevents, binary, relay, cti }

  package var id: UUID
  package var tenant: UUID
  package var name: String
  package var kind = Kind.webhook
  package var origin = Origin.api
  package var url: String
  package var body = BodyForm.cloudevents
  package var filter = EventFilter()
  package var limits = Outbox.Limits()
  package var ratePerSecond: Int?
  package var isCompressed = false
  /// Whether the agent sends signs of life while there is nothing else.
  package var hasHeartbeat = true
  package var timeout: Duration = .seconds(15)
  /// Of the signing secret; the one before counts until `previousUntil`.
  package var secretVersion = 1
  package var previousUntil: Timestamp?
  /// Of rotations that came before an overlap was over: what still signs beside those two, oldest first.
  package internal(set) var olderSecrets: [OlderSecret] = []
  /// Of the configuration file: a first start begins with the oldest entry there is.
  package var beginsWithOldest = false
  package var createdAt: Timestamp
  package var updatedAt: Timestamp

  package init(id: UUID, tenant: UUID, name: String, url: String, at now: Timestamp) {
    (self.id, self.tenant, self.name, self.url) = (id, tenant, name, url)
    (createdAt, updatedAt) = (now, now)
  }
}

/// Whether a destination is given anything.
package struct DestinationState: Sendable, Hashable {
  package enum Kind: String, Sendable {
    case active
    /// By the administrator.
    case paused
    /// It answered 410: it is no more.
    case gone
  }

  package var kind = Kind.active
  package var since: Timestamp
  package var reason = ""

  package init(_ kind: Kind, since: Timestamp, reason: String = "") {
    (self.kind, self.since, self.reason) = (kind, since, reason)
  }
}

/// Entries of the past that are to be sent again.
package struct Replay: Sendable, Hashable {
  /// Looked through up to here.
  package var cursor: Position
  package var until: Position
  package var types: [String] = []

  package init(after: Position, until: Position, types: [String] = []) {
    (cursor, self.until, self.types) = (after, until, types)
  }

  /// As it is kept: `12-345 call.ended,call.ring`.
  package var text: String { "\(cursor)-\(until) \(types.joined(separator: ","))" }

  package init?(_ text: String) {
    let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    let bounds = parts[0].split(separator: "-").compactMap { Int64($0) }
    guard bounds.count == 2 else { return nil }
    let types = parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : []
    self.init(after: Position(bounds[0]), until: Position(bounds[1]), types: types)
  }
}
