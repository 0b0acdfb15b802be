import AsteriskSource
import Basics
import CallModel
import Foundation
import Health
import Loop
import Metrics
import Normaliser
import Simulator
import SourceKit
import TestSupport
import Testing

/// Recordings played by a real AMI server over TCP to the shipped link.
@Suite(.serialized) struct WireTests {
  init() { _ = LoopThread.isRunning }

  /// Spans are compared where the machine is ours alone: scripts/soak.sh says so. From the file they always are.
  private static let isTimed = ProcessInfo.processInfo.environment["SIDETONE_SOAK_TIMED"] != nil

  enum Way: String, CaseIterable { case originalTiming, twentyTimes, oneBurst }

  @Test(arguments: Way.allCases)
  func everyRecordingIsUnderstoodOverTCP(way: Way) async throws {
    try await everyRecording(way)
  }

  @LoopActor private func everyRecording(_ way: Way) async throws {
    let names = Fixtures.connections.filter { !$0.hasPrefix("protocol-errors") }
    let outlets = try names.map { try Playback($0, way) }
    for (name, outlet) in zip(names, outlets) {
      let events = try await eventually("\(name) to end", within: 60) { outlet.whenDone($0) }
      let differences = Truth.differences(name, events, timed: way == .originalTiming && Self.isTimed)
      print(
        name.padded(44), way.rawValue,
        differences.isEmpty ? "as the telephones saw it" : differences.joined(separator: " | "))
      #expect(differences.isEmpty, "\(name) \(way): \(differences)")
    }
  }

  @Test func twentyThousandEventsAreDrainedWithoutTheServerWaiting() async throws {
    try await flood()
  }

  @LoopActor private func flood() async throws {
    let text =
      "Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/201-00000001\r\nChannelState: 4\r\nCallerIDNum: 201\r\nContext: internal\r\nExten: 202\r\nUniqueid: UID\r\nLinkedid: UID\r\n\r\nEvent: Hangup\r\nPrivilege: call,all\r\nChannel: PJSIP/201-00000001\r\nChannelState: 4\r\nUniqueid: UID\r\nLinkedid: UID\r\nCause: 16\r\n\r\n"
    let pieces = (0..<10_000).map {
      RecordingPlayer.Piece(
        at: Timestamp(microseconds: 0), bytes: Array(text.replacing("UID", with: "1795216973.\($0)").utf8))
    }
    let playback = try Playback(pieces: pieces, answers: RecordedAnswers(), speed: 0)
    let events = try await eventually("the flood to end") { playback.whenDone($0) }
    #expect(events.count { $0.kind == .ended } == 10_000)
  }
}

/// One server, one link, one switchboard; done when the server closed and the link noticed.
@LoopActor
private final class Playback: SourceOutlet {
  private let server: AMIServer
  private var source: AsteriskSource?
  private var board = Switchboard(source: "test")
  private var events: [CallEvent] = []
  private var done: (@LoopActor ([CallEvent]) -> Void)?
  private var isDone = false
  private var player: RecordingPlayer?

  convenience init(_ name: String, _ way: WireTests.Way) throws {
    let recording = Fixtures.recording(name)
    let speed: Double =
      switch way {
      case .originalTiming: 1
      case .twentyTimes: 20
      case .oneBurst: 0
      }
    try self.init(
      pieces: recording.liveEvents.map { .init(at: $0.at, bytes: $0.bytes) },
      // The lists of other recordings were asked for in the middle of the session, and tell of it.
      answers: name.hasSuffix(".late") ? RecordedAnswers(recording.messages.map(\.lines)) : RecordedAnswers(),
      speed: speed)
  }

  init(pieces: [RecordingPlayer.Piece], answers: RecordedAnswers, speed: Double) throws {
    server = AMIServer(.init(username: "agent", secret: Secret("s")), pbx: SimulatedPBX(.init()))
    server.recorded = answers
    try server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    var config = AsteriskSourceConfig()
    (config.username, config.secret, config.port) = ("agent", Secret("s"), server.port)
    let player = RecordingPlayer(pieces, speed: speed, splitSeed: 7)
    self.player = player
    server.onLogin = { [unowned self] session in
      // The lists are asked for first; what is played comes behind their answers, as at a real server.
      LoopActor.loop.after(.milliseconds(200)) { player.play(to: session) }
      player.onDone = { [unowned self] in server.stop() }
    }
    let source = AsteriskSource(config, outlet: self, health: HealthBoard(), metrics: MetricRegistry())
    self.source = source
    source.start()
  }

  func observe(_ observations: [Observation]) {
    for observation in observations { events += board.apply(observation) }
    guard case .linkDown? = observations.last?.fact else { return }
    source?.stop()
    events += board.close(at: Timestamp.now(), reason: "played")
    isDone = true
    done?(events)
  }

  func whenDone(_ body: @escaping @LoopActor ([CallEvent]) -> Void) { if isDone { body(events) } else { done = body } }
}

extension String {
  fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
}
