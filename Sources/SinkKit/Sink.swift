// What a sink is: it is given entries of the journal and says what the peer did with them. When to try, in which order
// and how often is the frame's matter.

package import Basics
package import CallModel
package import Loop

/// Entries on their way to one peer: one, or several where the destination takes batches. Within it, and between
/// deliveries, the entries of one call keep their order.
package struct Delivery: Sendable {
  package let entries: [JournalEntry]
  /// Counted from 1.
  package let attempt: Int

  package init(entries: [JournalEntry], attempt: Int = 1) { (self.entries, self.attempt) = (entries, attempt) }
}

/// The peer's answer to a delivery.
package struct Receipt: Sendable, Hashable {
  package enum Verdict: Sendable, Hashable {
    /// It has them.
    case accepted
    /// It will never take them; set aside, and the call's next go on.
    case refused
    /// Not now: kept, and tried again.
    case kept
    /// As `kept`, and everything else for this destination waits as well.
    case slowDown
    /// The destination says that it is no more: it is stopped, and everything is kept.
    case gone
  }

  package let verdict: Verdict
  /// For people: `HTTP 503`, `connection refused`.
  package let reason: String
  /// The protocol's own number, where it has one.
  package var code: Int?
  /// The peer's wish, already within bounds.
  package var retryAfter: Duration?

  package init(_ verdict: Verdict, _ reason: String = "", code: Int? = nil, retryAfter: Duration? = nil) {
    (self.verdict, self.reason, self.code, self.retryAfter) = (verdict, reason, code, retryAfter)
  }

  package static let accepted = Receipt(.accepted)
}

/// The way to one peer.
@LoopActor
package protocol Sink: AnyObject {
  /// Returns within the sink's own time limit, always. Called for several deliveries at once.
  func deliver(_ delivery: Delivery) async -> Receipt
  /// Lets go of connections and threads; nothing is delivered afterwards.
  func close()
}

/// The journal and what is added to it, as a destination reads it.
@LoopActor
package protocol EventFeed: AnyObject {
  /// Which journal: checkpoints count in its positions only.
  var id: UUID { get }
  var head: Position { get }
  /// Nil when the journal cannot be read now.
  func page(after: Position, limit: Int) async -> [JournalEntry]?
  /// As `page`, at once; nil when it is not in memory.
  func recentPage(after: Position, limit: Int) -> [JournalEntry]?
  /// Those of the positions that are still there.
  func entries(at positions: [Position]) async -> [JournalEntry]?
}
