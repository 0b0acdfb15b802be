// What the routes of destinations need of rooms that they do not know; the agent lends it.

package import Basics
package import CallModel
package import HTTP
package import Identity
internal import Loop
package import SinkKit

package struct UpstreamPorts: Sendable {
  /// The first position of an entry kept at this time or later; nil when the journal cannot be read.
  package var position: @LoopActor @Sendable (_ keptAt: Timestamp) async -> Position?
  package var positions: @LoopActor @Sendable (_ events: [EventID]) async -> [Position]?
  package var head: @LoopActor @Sendable () -> Position
  /// Notes events that nobody will be given any more.
  package var noteLoss: @LoopActor @Sendable (_ detail: String, _ count: Int, _ events: [EventID]) async -> Void
  /// The secret that a destination's deliveries are signed with; nil where it stands in a file, or nothing is signed.
  package var secret: @LoopActor @Sendable (DestinationRecord) -> Secret<String>?
  /// What is wrong with an address, for its field; nil when it may be delivered to.
  package var addressFault: @LoopActor @Sendable (_ url: String) -> String?
  /// Does `body` once for each Idempotency-Key.
  package var once:
    @LoopActor @Sendable (
      RequestContext, Caller, _ body: @LoopActor () async throws(APIError) -> HTTPResponse
    ) async throws(APIError) -> HTTPResponse
  package var audit: @LoopActor @Sendable (AuditNote, _ tenant: UUID) async -> Void

  package init(
    position: @escaping @LoopActor @Sendable (Timestamp) async -> Position?,
    positions: @escaping @LoopActor @Sendable ([EventID]) async -> [Position]?,
    head: @escaping @LoopActor @Sendable () -> Position,
    noteLoss: @escaping @LoopActor @Sendable (String, Int, [EventID]) async -> Void,
    secret: @escaping @LoopActor @Sendable (DestinationRecord) -> Secret<String>?,
    addressFault: @escaping @LoopActor @Sendable (String) -> String?,
    once:
      @escaping @LoopActor @Sendable (
        RequestContext, Caller, @LoopActor () async throws(APIError) -> HTTPResponse
      ) async throws(APIError) -> HTTPResponse,
    audit: @escaping @LoopActor @Sendable (AuditNote, UUID) async -> Void
  ) {
    (self.position, self.positions, self.head, self.noteLoss) = (position, positions, head, noteLoss)
    (self.secret, self.addressFault, self.once, self.audit) = (secret, addressFault, once, audit)
  }
}
