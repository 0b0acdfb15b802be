import CallModel
import Foundation
import Loop
import Normaliser
import Simulator
import TestSupport
import Testing

@Suite(.serialized) struct FaultTests {
  init() { _ = LoopThread.isRunning }

  private static func amount(_ name: String, _ short: Int) -> Int {
    ProcessInfo.processInfo.environment["SIDETONE_SOAK_\(name)"].flatMap { Int($0) } ?? short
  }

  /// One frame in a hundred is lost, one doubled, one swapped, and the socket closes now and then.
  @Test @LoopActor func everyCallEndsOnceHoweverBadTheSocket() throws {
    let calls = Self.amount("THREECX_CALLS", 500)
    let floor = Floor()
    floor.connect()
    floor.run(for: 1)
    floor.world.faults = .init(drop: 0.01, double: 0.01, swap: 0.01)
    var random = SeededRandom(seed: 42)
    for number in 0..<calls {
      let story = ThreeCXStory.all[Int.random(in: 0..<ThreeCXStory.all.count, using: &random)]
      var cast = ThreeCXStory.Cast()
      (cast.one, cast.two, cast.three) = (
        String(100 + number * 3 % 36), String(101 + number * 3 % 36), String(102 + number * 3 % 36)
      )
      cast.outside = "+1555\(1_000_000 + number)"
      story.play(in: floor.world, cast, after: { floor.after($0, $1) }, onEnd: {})
      floor.run(for: random.seconds(0...0.6))
      if number % max(1, calls / 20) == 7 {
        floor.cut()
        floor.run(for: random.seconds(0.1...2))
        floor.connect()
      }
    }
    floor.world.faults = .init()
    floor.run(for: 40)
    #expect(floor.world.parts.isEmpty)
    let calledIDs = Set(floor.events.compactMap { $0.call?.id })
    let ends = floor.events.filter { $0.kind == .ended }.compactMap { $0.call?.id }
    let inferred = floor.events.count(where: \.isInferred)
    print(
      "\(calls) stories, \(calledIDs.count) calls, \(floor.world.lostFrames) frames lost, 20 closes, \(floor.snapshots) snapshots, \(inferred) events inferred"
    )
    let native = Dictionary(grouping: floor.events.compactMap(\.call)) { $0.externalIDs["linkedid"] ?? "" }
    let split = native.filter { Set($0.value.map(\.id)).count > 1 }
    for key in split.keys.prefix(3) {
      for event in floor.events where event.call?.externalIDs["linkedid"] == key {
        print(key, event.call!.id, event.occurredAt, Floor.line(event))
      }
    }
    #expect(split.keys.sorted() == [], "one call of the PBX became several")
    #expect(calledIDs.count > calls * 9 / 10 && calledIDs.count <= floor.world.callsMade)
    #expect(Set(ends).count == ends.count)
    #expect(Set(ends) == calledIDs)
    #expect(floor.board.activeCalls.isEmpty)
  }

  /// What the floor really is and what is told agree two seconds after a lost frame can be known.
  @Test @LoopActor func aLostFrameIsHealedWithTheNext() throws {
    let floor = Floor()
    floor.connect()
    floor.run(for: 1)
    let call = floor.world.newCall()
    let one = floor.world.add("101", "Dialing", in: call, with: "102", "Wextension")
    let two = floor.world.add("102", "Ringing", in: call, with: "101", "Wextension")
    floor.run(for: 1)
    floor.world.faults.drop = 1
    floor.world.connect(two, one)
    floor.run(for: 1)
    #expect(floor.board.activeCalls.first?.answeredBy == nil)
    floor.world.faults.drop = 0
    floor.world.add("120", "Dialing", in: floor.world.newCall(), with: "121", "Wextension")
    floor.run(for: 2)
    #expect(floor.board.activeCalls.first { $0.from?.raw == "101" }?.answeredBy?.id == "102")
  }

  @Test @LoopActor func aLostLastFrameIsFoundWithinOnePeriod() throws {
    let floor = Floor()
    floor.connect()
    floor.run(for: 1)
    let one = floor.world.add("101", "Ringing", in: floor.world.newCall(), with: "10000", "Wexternalline", number: "+1")
    floor.run(for: 1)
    floor.world.faults.drop = 1
    floor.world.remove(one)
    floor.run(for: 16)
    #expect(floor.board.activeCalls.isEmpty)
    #expect(floor.events.last?.kind == .ended && floor.events.last?.isInferred == true)
  }

  @Test @LoopActor func aRestartEndsWhatWasAndBeginsAnew() throws {
    let floor = Floor()
    floor.connect()
    floor.run(for: 1)
    for _ in 0..<5 {
      floor.world.add("101", "Dialing", in: floor.world.newCall(), with: "10000", "Wexternalline", number: "+15550100")
    }
    floor.run(for: 1)
    #expect(floor.board.activeCalls.count == 5)
    floor.cut()
    floor.world.restart()
    floor.world.add("102", "Dialing", in: floor.world.newCall(), with: "10000", "Wexternalline", number: "+15550111")
    floor.connect()
    floor.run(for: 2)
    #expect(floor.board.activeCalls.map { $0.from?.raw } == ["102"])
    #expect(floor.events.count { $0.kind == .ended } == 5)
  }

  /// Frames that come while the first snapshot is under way are neither lost nor told twice.
  @Test @LoopActor func whatHappensWhileConnectingIsToldOnce() throws {
    for delay in stride(from: 0.0, through: 0.2, by: 0.01) {
      let floor = Floor()
      floor.answerTime = 0.15
      floor.connect()
      floor.after(delay) { [unowned floor] in
        ThreeCXStory.internalCall.play(in: floor.world, pace: 0.05, after: { floor.after($0, $1) }, onEnd: {})
      }
      floor.run(for: 20)
      let ids = Set(floor.events.compactMap { $0.call?.id })
      #expect(ids.count <= 1 && floor.events.count { $0.kind == .ended } == ids.count, "\(delay)")
    }
  }
}
