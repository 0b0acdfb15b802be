// What a destination's progress is on disk: the words between the outbox and its store.

package import Basics
package import CallModel

/// An entry that is not settled although the checkpoint has passed it, or that was set aside.
package struct OpenDelivery: Sendable, Hashable {
  package enum State: String, Sendable { case held, aside }

  package var position: Position
  package var event: EventID
  /// The call, or zero for what belongs to none: entries of one lane go one after the other.
  package var lane: UUID
  package var type: String
  package var state: State
  /// Attempts made so far that say something about this entry.
  package var attempts: Int
  package var nextAt: Timestamp
  package var reason: String
  package var since: Timestamp

  package init(
    position: Position, event: EventID, lane: UUID, type: String, state: State, attempts: Int, nextAt: Timestamp,
    reason: String, since: Timestamp
  ) {
    (self.position, self.event, self.lane, self.type) = (position, event, lane, type)
    (self.state, self.attempts, self.nextAt, self.reason, self.since) = (state, attempts, nextAt, reason, since)
  }
}

/// One try, for the delivery log.
package struct Attempt: Sendable, Hashable {
  package let position: Position
  package let event: EventID
  package let type: String
  package let at: Timestamp
  package let milliseconds: Int
  package let number: Int
  package let verdict: Receipt.Verdict
  package let code: Int?
  package let reason: String
}

/// Where a destination stands.
package struct Progress: Sendable, Hashable {
  /// Everything up to here is settled, but for the open deliveries.
  package var checkpoint: Position
  /// Settled beyond the checkpoint: at most what is loaded at once.
  package var ahead: [Position]
  package var accepted: Int
  package var setAside: Int
  /// Nothing is sent before this, for the peer asked for it.
  package var quietUntil: Timestamp?

  package init(
    checkpoint: Position, ahead: [Position] = [], accepted: Int = 0, setAside: Int = 0, quietUntil: Timestamp? = nil
  ) {
    (self.checkpoint, self.ahead, self.accepted, self.setAside) = (checkpoint, ahead, accepted, setAside)
    self.quietUntil = quietUntil
  }
}

/// What has changed since the last one was taken; kept whole or not at all.
package struct Settlement: Sendable {
  package var progress: Progress
  package var put: [OpenDelivery]
  package var dropped: [Position]
  package var attempts: [Attempt]
  /// Entries that count as in flight until this is kept.
  let entries: Int
}
