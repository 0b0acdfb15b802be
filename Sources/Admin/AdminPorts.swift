// What the administrator's pages need of rooms that they do not know; the agent lends it.

package import Basics
package import HTTP
package import JSON
internal import Loop

/// The agent's own cost on this host.
package struct SelfUsage: Sendable {
  package var residentBytes: Int
  package var cpuSeconds: Double
  package var threads: Int
  package var uptimeSeconds: Double

  package init(residentBytes: Int, cpuSeconds: Double, threads: Int, uptimeSeconds: Double) {
    (self.residentBytes, self.cpuSeconds, self.threads) = (residentBytes, cpuSeconds, threads)
    self.uptimeSeconds = uptimeSeconds
  }
}

/// What the journal holds, and what retention would take of it.
package struct JournalFigures: Sendable {
  package var head: Int64
  package var oldest: Int64
  package var bytes: Int
  package var openCalls: Int
  package var retentionDays: Int
  package var retentionMiB: Int
  /// Entries older than the limit, or beyond the size.
  package var prunable: Int

  package init(
    head: Int64, oldest: Int64, bytes: Int, openCalls: Int, retentionDays: Int, retentionMiB: Int, prunable: Int
  ) {
    (self.head, self.oldest, self.bytes, self.openCalls) = (head, oldest, bytes, openCalls)
    (self.retentionDays, self.retentionMiB, self.prunable) = (retentionDays, retentionMiB, prunable)
  }
}

/// One hour of ended calls.
package struct HourOfCalls: Sendable {
  package var start: Timestamp
  package var total = 0
  package var answered = 0
  /// Calls by how long they rang: under 5, 15, 30, 60 s, and longer.
  package var waits = [0, 0, 0, 0, 0]

  package init(start: Timestamp) { self.start = start }
}

package struct AdminPorts: Sendable {
  package var usage: @LoopActor @Sendable () -> SelfUsage
  /// False when there is no such link.
  package var reconnect: @LoopActor @Sendable (_ link: String) -> Bool
  package var figures: @LoopActor @Sendable () async -> JournalFigures?
  /// Nil when the journal cannot be written now.
  package var prune: @LoopActor @Sendable () async -> Int?
  package var losses: @LoopActor @Sendable (inout JSONWriter) async -> Void
  package var hour: @LoopActor @Sendable (_ tenant: UUID, _ from: Timestamp) async -> HourOfCalls?
  /// Ended calls of a tenant as JSON, newest first, from the cursor on.
  package var history: @LoopActor @Sendable (RequestContext) async throws(APIError) -> [[UInt8]]
  /// The events of a call, and the PBX's messages about it; nil when the tenant has no such call.
  package var trace: @LoopActor @Sendable (_ call: UUID, _ tenant: UUID) async -> HTTPResponse?
  /// Every key of the configuration, its value (secrets redacted) and who set it.
  package var settings: [(name: String, value: String, origin: String)]
  package var version: String
  package var counters: @LoopActor @Sendable () -> [(name: String, value: Int)]

  package init(
    usage: @escaping @LoopActor @Sendable () -> SelfUsage,
    reconnect: @escaping @LoopActor @Sendable (String) -> Bool,
    figures: @escaping @LoopActor @Sendable () async -> JournalFigures?,
    prune: @escaping @LoopActor @Sendable () async -> Int?,
    losses: @escaping @LoopActor @Sendable (inout JSONWriter) async -> Void,
    hour: @escaping @LoopActor @Sendable (UUID, Timestamp) async -> HourOfCalls?,
    history: @escaping @LoopActor @Sendable (RequestContext) async throws(APIError) -> [[UInt8]],
    trace: @escaping @LoopActor @Sendable (UUID, UUID) async -> HTTPResponse?,
    settings: [(name: String, value: String, origin: String)], version: String,
    counters: @escaping @LoopActor @Sendable () -> [(name: String, value: Int)]
  ) {
    (self.usage, self.reconnect, self.figures, self.prune, self.losses) = (usage, reconnect, figures, prune, losses)
    (self.hour, self.history, self.trace) = (hour, history, trace)
    (self.settings, self.version, self.counters) = (settings, version, counters)
  }
}
