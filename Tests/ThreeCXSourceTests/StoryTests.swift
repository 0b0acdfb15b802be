import CallModel
import Loop
import Normaliser
import Simulator
import TestSupport
import Testing

@Suite(.serialized) struct StoryTests {
  init() { _ = LoopThread.isRunning }

  @Test @LoopActor func everyStoryIsToldAsItHappened() throws {
    for story in ThreeCXStory.all {
      let floor = Floor()
      floor.connect()
      floor.run(for: 1)
      story.play(in: floor.world, after: { floor.after($0, $1) }, onEnd: {})
      floor.run(for: 20)
      if let told = Self.told[story.name] { #expect(floor.events.map(Floor.line) == told, "\(story.name)") }
      let ends = floor.events.filter { $0.kind == .ended }
      #expect(floor.board.activeCalls.isEmpty && !ends.isEmpty && Set(ends.map { $0.call?.id }).count == ends.count)
      #expect(!floor.events.contains { $0.isInferred })
    }
  }

  /// Of those that no recording of an Asterisk stands beside: type, whom it is about, and in brackets: from, to,
  /// answered by, queue, disposition.
  private static let told: [String: [String]] = [
    "outbound": [
      "link.up [- - - - -]",
      "call.ring [101 +15550100 - - -]",
      "call.leg.ringing external:+15550100 callee [101 +15550100 - - -]",
      "call.started [101 +15550100 external:+15550100 - -]",
      "call.leg.answered external:+15550100 callee [101 +15550100 external:+15550100 - -]",
      "call.leg.ended external:+15550100 completed [101 +15550100 external:+15550100 - -]",
      "call.ended [101 +15550100 external:+15550100 - answered]",
    ],
    "no-answer": [
      "link.up [- - - - -]",
      "call.ring [101 102 - - -]",
      "call.leg.ringing extension:102 callee [101 102 - - -]",
      "call.leg.ended extension:102 no_answer [101 102 - - -]",
      "call.ended [101 102 - - no_answer]",
    ],
    "forward": [
      "link.up [- - - - -]",
      "call.ring [101 102 - - -]",
      "call.leg.ringing extension:102 callee [101 102 - - -]",
      "call.transferred forward 102>103 [101 102 - - -]",
      "call.leg.ended extension:102 forwarded [101 102 - - -]",
      "call.leg.ringing extension:103 callee [101 102 - - -]",
      "call.started [101 102 extension:103 - -]",
      "call.leg.answered extension:103 callee [101 102 extension:103 - -]",
      "call.leg.ended extension:103 completed [101 102 extension:103 - -]",
      "call.ended [101 102 extension:103 - answered]",
    ],
    "blind-transfer": [
      "link.up [- - - - -]",
      "call.ring [+15550100 101 - - -]",
      "call.leg.ringing extension:101 callee [+15550100 101 - - -]",
      "call.started [+15550100 101 extension:101 - -]",
      "call.leg.answered extension:101 callee [+15550100 101 extension:101 - -]",
      "call.transferred blind 101>102 [+15550100 101 extension:101 - -]",
      "call.leg.ringing extension:102 callee [+15550100 101 extension:101 - -]",
      "call.leg.ended extension:101 completed [+15550100 101 extension:101 - -]",
      "call.leg.answered extension:102 callee [+15550100 101 extension:101 - -]",
      "call.leg.ended extension:102 completed [+15550100 101 extension:101 - -]",
      "call.ended [+15550100 101 extension:101 - answered]",
    ],
    "attended-transfer": [
      "link.up [- - - - -]",
      "call.ring [+15550100 101 - - -]",
      "call.leg.ringing extension:101 callee [+15550100 101 - - -]",
      "call.started [+15550100 101 extension:101 - -]",
      "call.leg.answered extension:101 callee [+15550100 101 extension:101 - -]",
      "call.ring [101 102 - - -]",
      "call.leg.ringing extension:102 callee [101 102 - - -]",
      "call.started [101 102 extension:102 - -]",
      "call.leg.answered extension:102 callee [101 102 extension:102 - -]",
      "call.ended [101 102 extension:102 - answered]",
      "call.transferred attended 101>102 [+15550100 101 extension:101 - -]",
      "call.leg.ended extension:101 completed [+15550100 101 extension:101 - -]",
      "call.updated [+15550100 101 extension:101 - -]",
      "call.leg.ended extension:102 completed [+15550100 101 extension:101 - -]",
      "call.ended [+15550100 101 extension:101 - answered]",
    ],
  ]
}
