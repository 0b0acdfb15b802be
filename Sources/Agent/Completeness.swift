// Compares what was heard with what the PBX recorded, names every difference and repairs it. Runs by itself every
// minute over the last quarter of an hour, since records come late, and over longer when somebody asks.

internal import Basics
internal import CallModel
internal import JSON
internal import Journal
internal import Log
internal import Loop
internal import Metrics
internal import Normaliser
internal import ThreeCXSource

@LoopActor
final class Completeness {
  struct Report {
    var from: Timestamp
    var until: Timestamp
    var recorded = 0
    var missing: [Call] = []
    var differing: [(call: Call, differences: [RecordedCalls.Difference])] = []
  }

  private let journal: Journal
  private let database: PBXDatabase
  private let records: RecordedCalls
  private let tell: @LoopActor ([CallEvent]) -> Void
  private let missed: Metric
  private let updated: Metric
  private let recordingsFolder: String
  /// Recordings that were told since the start.
  private var told: Set<String> = []
  private var isStopped = false
  private(set) var last: Report?

  /// Records of calls that ended less than this many seconds ago may still be on their way.
  private static let delay = 20.0
  /// A call that nobody heard is taken from the records when nothing of it ended for this many seconds.
  private static let quiet = 60.0
  private static let period: Duration = .seconds(60)
  private static let overlap = 900.0

  init(
    journal: Journal, database: PBXDatabase, recordingsFolder: String, source: String, metrics: MetricRegistry,
    tell: @escaping @LoopActor ([CallEvent]) -> Void
  ) {
    (self.journal, self.database, self.tell) = (journal, database, tell)
    self.recordingsFolder = recordingsFolder
    records = RecordedCalls(source: source)
    missed = metrics.counter("sidetone_calls_missed_total", "Calls that only the PBX's records told of")
    updated = metrics.counter("sidetone_calls_completed_total", "Calls that the PBX's records added to")
  }

  func start() {
    LoopActor.loop.after(Self.period) { [weak self] in
      guard let self, !isStopped else { return }
      LoopActor.begin { [self] in
        // Every question in it is bounded. What fails now is found by the next round.
        _ = try? await run(seconds: Self.overlap)
        start()
      }
    }
  }

  func stop() { isStopped = true }

  /// Compares the calls that ended in the last `seconds`, and repairs.
  func run(seconds: Double) async throws -> Report {
    let now = Timestamp.now()
    var report = Report(from: now.adding(seconds: -seconds), until: now.adding(seconds: -Self.delay))
    let recorded = try await database.calls(endedFrom: report.from, until: report.until)
    report.recorded = recorded.count
    let heard = try await heard(around: recorded)
    let partners = CDRMatch.partners(of: recorded, among: heard)
    for (one, partner) in zip(recorded, partners) {
      guard let match = partner.map({ heard[$0] }) else {
        if isOver(one, at: now) { report.missing.append(one) }
        continue
      }
      // One that goes on is compared when it has ended.
      guard match.isEnded else { continue }
      let differences = RecordedCalls.differences(match, one)
      if !differences.isEmpty { report.differing.append((match, differences)) }
      if let event = records.update(match, by: one) { tell([event]) }
    }
    for call in report.missing { tell(records.events(of: call)) }
    try await tellRecordings(of: Array(zip(recorded, partners.map { $0.map { heard[$0] } })))
    finish(report)
    return report
  }

  /// Each recording once, as far as is remembered; the journal knows the rest by its id.
  private func tellRecordings(of calls: [(recorded: Call, heard: Call?)]) async throws(DatabaseFault) {
    let byID = Dictionary(
      calls.map { ($0.recorded.externalIDs["call_history_id"] ?? "", $0.heard ?? $0.recorded) }
    ) { first, _ in first }
    for (id, recording) in try await database.recordings(ofCalls: byID.keys.sorted()) {
      guard let call = byID[id], told.insert(recording.id).inserted else { continue }
      tell([records.event(of: await database.withFile(recording, in: recordingsFolder), in: call)])
    }
    if told.count > 10_000 { told = [] }
  }

  /// Every leg has an end, and the last one was long enough ago that no further leg is on its way.
  private func isOver(_ call: Call, at now: Timestamp) -> Bool {
    guard let endedAt = call.endedAt, call.legs.allSatisfy({ $0.endedAt != nil }) else { return false }
    return now.seconds(since: endedAt) >= Self.quiet
  }

  private func finish(_ report: Report) {
    last = report
    missed.add(report.missing.count)
    updated.add(report.differing.count)
    guard !report.missing.isEmpty else { return }
    Log.notice("calls taken from the PBX's records", [.count: String(report.missing.count)])
  }

  private func heard(around recorded: [Call]) async throws(JournalError) -> [Call] {
    guard let first = recorded.map(\.startedAt).min(), let last = recorded.map(\.startedAt).max() else { return [] }
    var query = HistoryQuery()
    query.from = first.adding(seconds: -CDRMatch.window)
    query.until = last.adding(seconds: CDRMatch.window)
    query.limit = 20_000
    let ended = try await journal.history(query).compactMap { (try? JSONValue(parsing: $0)).flatMap { Call($0) } }
    let open = try await journal.openCalls().compactMap(\.last.parsedCall)
    return ended + open
  }
}

extension Completeness.Report {
  func write(to json: inout JSONWriter) {
    json.object { json in
      json.field("from", from)
      json.field("until", until)
      json.field("recorded", recorded)
      json.key("missing")
      json.array { json in for call in missing { json.value("\(call.id)") } }
      json.key("differing")
      json.array { json in
        for (call, differences) in differing {
          json.object { json in
            json.field("call", "\(call.id)")
            json.key("differences")
            json.array { json in
              for difference in differences {
                json.object { json in
                  json.field("field", difference.field)
                  json.field("heard", difference.heard)
                  json.field("recorded", difference.recorded)
                }
              }
            }
          }
        }
      }
    }
  }
}
