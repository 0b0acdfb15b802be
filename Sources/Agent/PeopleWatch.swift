// Looks at the PBX's database for what no socket tells: agents who log in to a queue or out of it, and new messages in
// mailboxes. A message's event has the id that its record always gives, so one that was told before is told no more.

internal import Basics
internal import CallModel
internal import Loop
internal import Normaliser
internal import ThreeCXSource

@LoopActor
final class PeopleWatch {
  private let database: PBXDatabase
  private unowned let pipeline: Pipeline
  private let records: RecordedCalls
  private var lastVoicemail: Int64?
  private var isStopped = false

  private static let period: Duration = .seconds(5)
  /// Messages of this many seconds before the start are looked at again.
  private static let lookBack = 86_400.0

  init(_ database: PBXDatabase, pipeline: Pipeline) {
    (self.database, self.pipeline) = (database, pipeline)
    records = RecordedCalls(source: pipeline.board.source)
  }

  func start() {
    LoopActor.begin { [self] in
      // Two bounded questions; what fails now is asked again by the next round.
      try? await lookAtAgents()
      try? await lookAtMailboxes()
      guard !isStopped else { return }
      LoopActor.loop.after(Self.period) { [weak self] in self?.start() }
    }
  }

  func stop() { isStopped = true }

  private func lookAtAgents() async throws(DatabaseFault) {
    guard let found = try await database.agents(), !isStopped else { return }
    let now = Timestamp.now()
    pipeline.observe(
      found.map { one in
        let status = one.isLoggedIn ? "logged_in" : "logged_out"
        return Observation(at: now, .agentState(queue: one.queue, agent: one.agent, status: status, isPaused: false))
      })
  }

  private func lookAtMailboxes() async throws(DatabaseFault) {
    if lastVoicemail == nil {
      lastVoicemail = try await database.lastVoicemail(before: Timestamp.now().adding(seconds: -Self.lookBack))
    }
    guard let last = lastVoicemail, let more = try await database.voicemails(after: last), !isStopped else { return }
    pipeline.tell(more.found.map { records.event(of: $0.voicemail, key: String($0.id), at: $0.createdAt) })
    lastVoicemail = more.last
  }
}
