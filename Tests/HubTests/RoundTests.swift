import Basics
import CallModel
import Hub
import Loop
import TestSupport
import Testing

private final class NoLog: EventLog {
  let head = Position.start
  let oldest = Position(1)
  func page(after: Position, limit: Int) async -> [JournalEntry]? { [] }
}

/// Reads what it lacks each time it is woken.
private final class Reader: Subscriber {
  let hub: Hub
  var gathered: [[Int64]] = []
  var onWake: @LoopActor () -> Void = {}
  private var cursor = Position.start

  init(_ hub: Hub) { self.hub = hub }

  func wake() {
    let fresh = (hub.recent(after: cursor) ?? []).map(\.entry.position)
    cursor = fresh.last ?? cursor
    if !fresh.isEmpty { gathered.append(fresh.map(\.value)) }
    onWake()
    onWake = {}
  }
}

@Suite struct RoundTests {
  init() { _ = LoopThread.isRunning }

  private func entry(_ position: Int64, reason: String? = nil) -> JournalEntry {
    let event = CallEvent(
      id: EventID(UUID(high: 1, low: UInt64(position))), source: "test", occurredAt: Timestamp(microseconds: 0),
      kind: reason.map { .linkDown(reason: $0) } ?? .linkUp, call: nil)
    return JournalEntry(event, at: Position(position))
  }

  @LoopActor
  private func hub(of count: Int) -> (Hub, [Reader]) {
    let hub = Hub(log: NoLog())
    let readers = (0..<count).map { _ in Reader(hub) }
    for reader in readers { hub.add(reader) }
    return (hub, readers)
  }

  /// Lets so many turns of the loop pass.
  @LoopActor
  private func turns(_ count: Int) async throws {
    for _ in 0..<count {
      try await eventually("a turn") { done in LoopActor.loop.whenTurnIsDone { done(()) } }
    }
  }

  @LoopActor
  @Test func everybodyGetsEverythingOnceAndInOrder() async throws {
    let (hub, readers) = hub(of: 100)
    hub.publish([entry(1)])
    try await turns(2)
    hub.publish([entry(2), entry(3)])
    try await turns(20)
    #expect(readers.allSatisfy { $0.gathered.flatMap(\.self) == [1, 2, 3] })
  }

  @LoopActor
  @Test func whoIsStillToBeWokenGetsWhatCameMeanwhileInTheSameGo() async throws {
    let (hub, readers) = hub(of: 100)
    for reader in readers { reader.onWake = { if hub.head == Position(1) { hub.publish([entry(2)]) } } }
    hub.publish([entry(1)])
    try await turns(20)
    #expect(readers.allSatisfy { $0.gathered.flatMap(\.self) == [1, 2] })
    #expect(readers.count { $0.gathered.count == 2 } == 1, "the first, who was woken between the two")
  }

  @LoopActor
  @Test func aBurstIsToldBeforeItLeavesTheMemory() async throws {
    let (hub, readers) = hub(of: 100)
    let burst = (1...5000).map { entry(Int64($0), reason: String(repeating: "x", count: 1000)) }
    hub.publish(burst)
    try await turns(20)
    #expect(hub.recent(after: .start) == nil, "more than is kept")
    #expect(readers.allSatisfy { $0.gathered.flatMap(\.self) == Array(1...5000) })
  }

  @LoopActor
  @Test func thePiecesOfARoundLeaveRoomForOtherWork() async throws {
    let (hub, readers) = hub(of: 100)
    var told: [Int] = []
    let look: @LoopActor () -> Void = {
      LoopActor.loop.whenTurnIsDone { told.append(readers.count { !$0.gathered.isEmpty }) }
    }
    for reader in readers { reader.onWake = { if told.isEmpty { look() } } }
    hub.publish([entry(1)])
    try await turns(20)
    #expect(told.first == 32)
    #expect(readers.allSatisfy { $0.gathered == [[1]] })
  }
}
