// The history of calls out of two books: the journal, and the PBX's own records where they can be read. A call that is
// in both is one row.

internal import Basics
internal import CallModel
internal import JSON
internal import Journal
internal import Loop
internal import ThreeCXSource

@LoopActor
struct HistoryDesk {
  let journal: Journal
  let database: PBXDatabase?

  /// Nil where the journal cannot be read. Where the PBX's records cannot be read now, the journal's rows are all.
  func page(_ query: HistoryQuery) async -> HistoryPage? {
    guard let kept = try? await journal.history(query) else { return nil }
    let bound = kept.count == query.limit ? kept.last.flatMap(Row.init)?.place : nil
    guard let database, query.tenant == .standard, let recorded = try? await database.history(query) else {
      return HistoryPage(rows: kept.map { ($0, .journal) }, next: bound)
    }
    let rows = kept.compactMap(Row.init)
    let near = await neighbours(of: recorded.calls) ?? rows
    return merge(rows, bound, recorded.calls, recorded.next, near, query.limit)
  }

  private struct Row {
    let call: Call
    let json: [UInt8]
    var place: (started: Timestamp, call: CallID) { (call.startedAt, call.id) }

    init?(_ json: [UInt8]) {
      guard let parsed = try? JSONValue(parsing: json), let call = Call(parsed) else { return nil }
      (self.call, self.json) = (call, json)
    }
  }

  /// Journal rows of about the same time: the two books' clocks for a call differ a little, and a page may end between.
  private func neighbours(of calls: [Call]) async -> [Row]? {
    guard let newest = calls.first, let oldest = calls.last else { return nil }
    var around = HistoryQuery()
    around.from = oldest.startedAt.adding(seconds: -CDRMatch.window)
    around.until = newest.startedAt.adding(seconds: CDRMatch.window)
    around.limit = 2000
    return (try? await journal.history(around))?.compactMap(Row.init)
  }

  private func merge(
    _ rows: [Row], _ bound: (started: Timestamp, call: CallID)?, _ recorded: [Call], _ recordedBound: Timestamp?,
    _ near: [Row], _ limit: Int
  ) -> HistoryPage {
    let partners = CDRMatch.partners(of: recorded, among: near.map(\.call))
    let matched = Set(partners.compactMap { $0.map { near[$0].call.id } })
    var all = rows.map {
      (place: $0.place, call: $0.json, origin: matched.contains($0.call.id) ? HistoryOrigin.both : .journal)
    }
    all += zip(recorded, partners).filter { $0.1 == nil }
      .map { one, _ in (place: (one.startedAt, one.id), call: one.json, origin: .cdr) }
    all.sort { ($0.place.started, $0.place.call.uuid) > ($1.place.started, $1.place.call.uuid) }
    // Below the place to which both books were read, a row may be missing.
    let floor = max(bound?.started ?? Timestamp(microseconds: 0), recordedBound ?? Timestamp(microseconds: 0))
    let whole = all.filter { $0.place.started >= floor }.prefix(limit)
    let isAtEnd = bound == nil && recordedBound == nil && whole.count == all.count
    let next = isAtEnd ? nil : whole.last?.place ?? (floor, CallID(UUID(high: 0, low: 0)))
    return HistoryPage(rows: whole.map { ($0.call, $0.origin) }, next: next)
  }
}
