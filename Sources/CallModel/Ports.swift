// The ports between rooms: what an application may ask of the journal, of the feed and of a PBX, whichever it is.

internal import Basics

/// A request to bring two parties together.
package struct OriginateRequest: Sendable {
  package var from: String
  package var to: String
  package var callerID: String?
  package var timeout: Duration

  package init(from: String, to: String, callerID: String? = nil, timeout: Duration = .seconds(30)) {
    (self.from, self.to, self.callerID, self.timeout) = (from, to, callerID, timeout)
  }
}

/// Why a command was not carried out, shaped by what the caller can do next.
package struct CommandRefusal: Error, Sendable {
  package enum Kind: Sendable {
    /// This PBX or account cannot; the remedy says what would change that.
    case notSupported
    /// The call is not in a state for this.
    case notNow
    /// The request names what the PBX does not know.
    case badTarget
    /// The link is down or the PBX does not answer.
    case unavailable
    /// It was sent, and whether it was done is not known.
    case outcomeUnknown
  }

  package let kind: Kind
  /// Stable, in kebab case.
  package let code: String
  package let message: String
  package let remedy: String?

  package init(_ kind: Kind, _ code: String, _ message: String, remedy: String? = nil) {
    (self.kind, self.code, self.message, self.remedy) = (kind, code, message, remedy)
  }
}

/// One thing this PBX link can or cannot do, and what to do about it.
package struct Capability: Sendable {
  package enum State: String, Sendable { case available, unavailable, limited, unknown }

  package let name: String
  package let state: State
  /// Which question to the PBX the answer came from.
  package let source: String
  package let remedy: String?

  package init(_ name: String, _ state: State, source: String, remedy: String? = nil) {
    (self.name, self.state, self.source, self.remedy) = (name, state, source, remedy)
  }
}

/// Acting on calls. Every PBX link implements what it can and says clearly what it cannot.
package protocol CallCommands: Sendable {
  /// Rings `from`, then connects it to `to`. Gives the id the call will have.
  func originate(_ request: OriginateRequest) async throws(CommandRefusal) -> CallID
  func hangUp(_ call: Call) async throws(CommandRefusal)
  func blindTransfer(_ call: Call, to target: String) async throws(CommandRefusal)
  /// Sends a call that rings to another telephone instead.
  func divert(_ call: Call, to target: String) async throws(CommandRefusal)
  /// Rings another telephone as well: whoever answers first has the call.
  func route(_ call: Call, to target: String, timeout: Duration) async throws(CommandRefusal)
  /// Begins a consultation with `target`, or joins the consultation call given.
  func attendedTransfer(_ call: Call, to target: String?, consultation: Call?) async throws(CommandRefusal)
  func hold(_ call: Call) async throws(CommandRefusal)
  func resume(_ call: Call) async throws(CommandRefusal)
  /// - Parameter slot: nil for any free one.
  func park(_ call: Call, slot: String?) async throws(CommandRefusal)
  func answer(_ call: Call) async throws(CommandRefusal)
  func capabilities() async -> [Capability]
}
