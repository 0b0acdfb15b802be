import AsteriskSource
import Basics
import CallModel
import Loop
import Normaliser
import Simulator
import TestSupport
import Testing

/// The same story on a recorded Asterisk and on a 3CX gives the same events: type, from, to, who answered, queue and
/// disposition. Hold is not compared: a 3CX does not tell of it.
@Suite(.serialized) struct EquivalenceTests {
  init() { _ = LoopThread.isRunning }

  struct Pair: Sendable, CustomTestStringConvertible {
    let recording: String
    let story: @LoopActor @Sendable () -> ThreeCXStory
    var agents: [String] = []
    /// The 3CX's word for what the recording's dialplan calls otherwise.
    var names: [String: String] = [:]
    var outside = "+15557654321"
    var testDescription: String { recording }
  }

  static let pairs = [
    Pair(recording: "internal-answered", story: { .internalCall }),
    Pair(recording: "caller-cancel", story: { .cancelled }),
    Pair(recording: "trunk-inbound-answered", story: { .inboundCall }),
    Pair(recording: "queue-answered", story: { .queueCall }, agents: ["103", "102"], names: ["sales": "800"]),
    Pair(recording: "queue-abandoned", story: { .abandoned }, agents: ["103", "102"], names: ["sales": "800"]),
    Pair(recording: "noanswer-voicemail", story: { .voicemail }, names: ["4002": "102"]),
    Pair(recording: "blind-transfer-refer", story: { .blindTransferInside }),
    Pair(recording: "attended-transfer-refer", story: { .attendedTransferInside }),
    Pair(
      recording: "outbound-answered", story: { .outboundCall }, names: ["915550199": "15550199"], outside: "15550199"),
    Pair(recording: "forward-after-ringing", story: { .forwarded }),
  ]

  @Test(arguments: pairs) @LoopActor func bothTellTheSame(_ pair: Pair) throws {
    let recorded = try asterisk(pair)
    let simulated = threeCX(pair, did: pair.recording.hasPrefix("queue") ? "5550100" : "5550101")
    print("\(pair.recording): \(recorded.map { $0.prefix { $0 != " " } }.joined(separator: " "))")
    #expect(recorded == simulated)
  }

  private func asterisk(_ pair: Pair) throws -> [String] {
    let recording = Fixtures.recording(pair.recording)
    var board = Switchboard(source: "test")
    var events: [CallEvent] = []
    for observation in try recording.observations() { events += board.apply(observation) }
    events += board.close(at: recording.endedAt, reason: "end")
    return Self.compared(events, renaming: pair.names)
  }

  @LoopActor private func threeCX(_ pair: Pair, did: String) -> [String] {
    let floor = Floor()
    var cast = ThreeCXStory.Cast()
    if !pair.agents.isEmpty { cast.agents = pair.agents }
    (cast.outside, cast.did) = (pair.outside, did)
    floor.connect()
    floor.run(for: 1)
    pair.story().play(in: floor.world, cast, after: { floor.after($0, $1) }, onEnd: {})
    floor.run(for: 20)
    return Self.compared(floor.events, renaming: [:])
  }

  private static let notTold = ["call.held", "call.resumed"]

  private static func compared(_ events: [CallEvent], renaming names: [String: String]) -> [String] {
    events.filter { $0.call != nil && !notTold.contains($0.kind.type) }.map { event in
      var line = Floor.line(event)
      for (old, new) in names { line = line.replacing(old, with: new) }
      for last in 1...9 { line = line.replacing("100\(last)", with: "10\(last)") }
      return line
    }
  }
}
