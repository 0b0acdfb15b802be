// Ended calls out of the PBX's own records, newest first. Legs are walked from the newest; a call is given once the walk
// has passed its first leg, so that pages are in order and hold every call once, however legs of calls overlap.

package import Basics
package import CallModel
internal import Postgres

extension PBXDatabase {
  /// Legs walked for one page at most, whatever the filter.
  private nonisolated static let walkLimit = 20_000
  /// A call's legs are looked for this long before and after the one that was met; microseconds.
  private nonisolated static let longestCall: Int64 = 12 * 3600 * 1_000_000

  /// A stretch of the walk: whom it met, and how far down it is complete.
  private struct Stretch: Sendable {
    var legs: [CDRLeg] = []
    var calls: Set<String> = []
    var walked = 0
    var reached: Int64
    var isAtEnd = false
  }

  /// - Returns: at most `query.limit` calls, and where to go on: nil at the end. A page may be short before the end,
  ///   where a filter leaves little.
  package func history(_ query: HistoryQuery) async throws(DatabaseFault) -> (calls: [Call], next: Timestamp?) {
    var found: [Call] = []
    var pending: [Call] = []
    var met: Set<String> = []
    var upper = query.before?.started.microseconds ?? query.until.map { $0.microseconds - 1 } ?? Int64.max / 4
    var walked = 0
    while found.count < query.limit, walked < Self.walkLimit {
      let stretch = try await walk(from: upper, to: query.from?.microseconds ?? 0, max(100, query.limit * 3), met)
      walked += stretch.walked
      met.formUnion(stretch.calls)
      pending += calls(of: stretch.legs)
      let ready = pending.filter { stretch.isAtEnd || $0.startedAt.microseconds >= stretch.reached }
      pending.removeAll { stretch.isAtEnd || $0.startedAt.microseconds >= stretch.reached }
      found += ready.filter { matches($0, query) }.sorted(by: Self.isNewer)
      if stretch.isAtEnd { return cut(found, query.limit, at: nil) }
      upper = stretch.reached - 1
    }
    return cut(found, query.limit, at: Timestamp(microseconds: upper))
  }

  private func cut(_ found: [Call], _ limit: Int, at end: Timestamp?) -> (calls: [Call], next: Timestamp?) {
    found.count > limit ? (Array(found.prefix(limit)), found[limit - 1].startedAt) : (found, end)
  }

  private func walk(from upper: Int64, to lower: Int64, _ size: Int, _ met: Set<String>)
    async throws(DatabaseFault) -> Stretch
  {
    try await ask { session, schema throws(PostgresError) in
      let rows = try session.rows(schema.newestLegs, [.int(upper + 1), .int(lower), .int(Int64(size))])
      let newest = rows.compactMap(CDRSchema.leg)
      guard let oldest = newest.last, let latest = newest.first else { return Stretch(reached: lower, isAtEnd: true) }
      var stretch = Stretch(reached: oldest.startedAt.microseconds + 1)
      (stretch.walked, stretch.isAtEnd) = (rows.count, rows.count < size)
      stretch.calls = Set(newest.map(\.call))
      stretch.legs = try Self.legs(
        stretch.calls.subtracting(met), oldest.startedAt.microseconds - Self.longestCall,
        latest.startedAt.microseconds + Self.longestCall, session, schema)
      return stretch
    }
  }

  private nonisolated static func legs(
    _ calls: Set<String>, _ from: Int64, _ until: Int64, _ session: DatabaseSession, _ schema: CDRSchema
  ) throws(PostgresError) -> [CDRLeg] {
    guard !calls.isEmpty else { return [] }
    let keys = calls.sorted().joined(separator: ",")
    return try session.rows(
      schema.legsOfCalls, [.text(keys), .int(from), .int(until), .int(Int64(walkLimit))]
    ).compactMap(CDRSchema.leg)
  }

  private func calls(of legs: [CDRLeg]) -> [Call] {
    Dictionary(grouping: legs, by: \.call).values.compactMap { CDRCall.call(of: $0, region: region) }
  }

  private static func isNewer(_ one: Call, _ two: Call) -> Bool {
    (one.startedAt, one.id.uuid) > (two.startedAt, two.id.uuid)
  }

  private func matches(_ call: Call, _ query: HistoryQuery) -> Bool {
    if let before = query.before, (call.startedAt, call.id.uuid) >= (before.started, before.call.uuid) { return false }
    if let until = query.until, call.startedAt >= until { return false }
    if let from = query.from, call.startedAt < from { return false }
    if let number = query.number {
      let all =
        [call.from, call.to].compactMap(\.self).flatMap { [$0.raw, $0.e164 ?? ""] } + call.legs.map(\.party.id)
      guard all.contains(number) else { return false }
    }
    return (query.queue == nil || query.queue == call.queue)
      && (query.direction == nil || query.direction == call.direction.rawValue)
      && (query.disposition == nil || query.disposition == call.disposition?.rawValue)
  }

  /// Whole calls of which a leg ended in this time, oldest first.
  package func calls(endedFrom from: Timestamp, until: Timestamp) async throws(DatabaseFault) -> [Call] {
    let (lower, upper) = (from.microseconds, until.microseconds)
    let legs = try await ask { session, schema throws(PostgresError) in
      var calls: Set<String> = []
      var (mark, walked) = ((lower, ""), 0)
      while walked < Self.walkLimit {
        let more = try session.rows(schema.endedLegs, [.int(mark.0), .text(mark.1), .int(500)]).compactMap(
          CDRSchema.leg)
        walked += more.count
        calls.formUnion(more.filter { ($0.endedAt?.microseconds ?? 0) < upper }.map(\.call))
        guard more.count == 500, let last = more.last, let ended = last.endedAt, ended.microseconds < upper else {
          break
        }
        mark = (ended.microseconds, last.id)
      }
      return try Self.legs(calls, lower - Self.longestCall, upper + Self.longestCall, session, schema)
    }
    return calls(of: legs).sorted { Self.isNewer($1, $0) }
  }
}
