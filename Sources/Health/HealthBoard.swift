// What is wrong, since when, why, and what to do about it: one board behind /relay/health, the CLI and systemd's status.

package import Basics
package import JSON
internal import Synchronization

package enum Severity: Int, Comparable, Sendable {
  case warning = 1
  case failure = 2

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A state of affairs that somebody may have to mend. Conditions are values declared by the room that knows them.
package struct Condition: Sendable {
  /// Stable, in kebab case: what monitoring matches on.
  package let code: String
  package let title: String
  package let severity: Severity
  /// What to do, in a sentence to the administrator.
  package let remedy: String

  package init(code: String, title: String, severity: Severity, remedy: String) {
    self.code = code
    self.title = title
    self.severity = severity
    self.remedy = remedy
  }
}

package enum LinkState: String, Sendable { case connecting, up, down }

/// The agent's opinion of itself. Safe from any thread.
package final class HealthBoard: Sendable {
  package struct Raised: Sendable {
    package let condition: Condition
    package let since: Timestamp
    /// What was seen this time; free of secrets and of numbers.
    package let detail: String?
  }

  package struct Link: Sendable {
    package let name: String
    package var state: LinkState
    package var since: Timestamp
    package var code: String?
  }

  private struct State {
    var raised: [String: Raised] = [:]
    var links: [Link] = []
    var since: Timestamp
    var revision: UInt64 = 1
  }

  private let state: Mutex<State>
  private let clock: @Sendable () -> Timestamp

  package init(clock: @escaping @Sendable () -> Timestamp = { Timestamp.now() }) {
    self.clock = clock
    state = Mutex(State(since: clock()))
  }

  /// Puts the condition up, or renews its detail; `since` stays that of the first time.
  package func raise(_ condition: Condition, on subject: String? = nil, detail: String? = nil) {
    let now = clock()
    state.withLock { state in
      let key = Self.key(condition.code, subject)
      state.revision += 1
      let since = state.raised[key]?.since ?? now
      if state.raised.isEmpty { state.since = now }
      state.raised[key] = Raised(condition: condition, since: since, detail: detail)
    }
  }

  package func clear(_ condition: Condition, on subject: String? = nil) {
    let now = clock()
    state.withLock { state in
      guard state.raised.removeValue(forKey: Self.key(condition.code, subject)) != nil else { return }
      state.revision += 1
      if state.raised.isEmpty { state.since = now }
    }
  }

  /// Changes with every change of the board, so that a rendering can be kept for as long as it is true.
  package var revision: UInt64 { state.withLock { $0.revision } }

  private static func key(_ code: String, _ subject: String?) -> String { subject.map { "\(code) \($0)" } ?? code }

  package func setLink(_ name: String, _ linkState: LinkState, code: String? = nil) {
    let now = clock()
    state.withLock { state in
      state.revision += 1
      let index = state.links.firstIndex { $0.name == name } ?? state.links.count
      if index == state.links.count { state.links.append(Link(name: name, state: linkState, since: now, code: code)) }
      if state.links[index].state != linkState { state.links[index].since = now }
      state.links[index].state = linkState
      state.links[index].code = code
    }
  }

  package var conditions: [Raised] {
    state.withLock { $0.raised.values.sorted { $0.since < $1.since } }
  }

  package var links: [Link] { state.withLock { $0.links } }

  /// `ok`, `degraded` (works with warnings), or `down` (somebody must act).
  package var status: String {
    switch conditions.map(\.condition.severity).max() {
    case nil: "ok"
    case .warning: "degraded"
    case .failure: "down"
    }
  }

  package func isRaised(_ condition: Condition, on subject: String? = nil) -> Bool {
    state.withLock { $0.raised[Self.key(condition.code, subject)] != nil }
  }

  /// The public form: states and codes, no details.
  package func writeSummary(to json: inout JSONWriter, version: String) {
    json.object { json in
      json.field("status", status)
      json.field("since", state.withLock { $0.since })
      json.key("links")
      json.array { json in for link in links { Self.write(link, to: &json) } }
      json.key("conditions")
      json.array { json in for raised in conditions { Self.write(raised, to: &json, detailed: false) } }
      json.field("version", version)
    }
  }

  private static func write(_ link: Link, to json: inout JSONWriter) {
    json.object { json in
      json.field("name", link.name)
      json.field("state", link.state.rawValue)
      json.field("since", link.since)
      json.field("code", link.code)
    }
  }

  package static func write(_ raised: Raised, to json: inout JSONWriter, detailed: Bool) {
    json.object { json in
      json.field("code", raised.condition.code)
      json.field("title", raised.condition.title)
      json.field("severity", raised.condition.severity == .failure ? "failure" : "warning")
      json.field("since", raised.since)
      json.field("remedy", raised.condition.remedy)
      if detailed { json.field("detail", raised.detail) }
    }
  }
}
