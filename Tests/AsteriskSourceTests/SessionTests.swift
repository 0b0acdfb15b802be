import AsteriskSource
import Basics
import CallModel
import Foundation
import Testing

/// The session as a value: no socket, no clock but the one that is passed in.
@Suite struct SessionTests {
  private var config: AsteriskSourceConfig {
    var config = AsteriskSourceConfig()
    config.username = "agent"
    config.secret = Secret("pässword")
    return config
  }

  private struct Wire {
    var session: AMISession
    var now = Moment(nanoseconds: 0)
    var sent = ""
    var isUnanswered = false
    var facts: [Observation.Fact] = []
    var end: AMISession.End?

    mutating func receive(_ text: String) {
      let bytes = Array(text.replacing("\n", with: "\r\n").utf8)
      take(bytes.withUnsafeBytes { session.received($0, at: now, time: Timestamp(microseconds: 1)) })
    }

    mutating func advance(_ span: Duration) {
      now = now + span
      take(session.tick(at: now, time: Timestamp(microseconds: 1)))
    }

    private mutating func take(_ effects: [AMISession.Effect]) {
      for effect in effects {
        switch effect {
        case .send(let bytes): sent += String(decoding: bytes, as: UTF8.self)
        case .observe(let observation): facts.append(observation.fact)
        case .end(let reason): end = end ?? reason
        case .unanswered: isUnanswered = true
        case .answer, .up, .snapshotDone, .denied: break
        }
      }
    }

    mutating func logIn() {
      receive("Asterisk Call Manager/11.0.0\n")
      receive("Response: Success\nActionID: t-1\nChallenge: 42\n\n")
      receive("Response: Success\nActionID: t-2\nMessage: Authentication accepted\n\nEvent: FullyBooted\nUptime: 5\n\n")
    }
  }

  private func wire(_ config: AsteriskSourceConfig? = nil) -> Wire {
    Wire(session: AMISession(config ?? self.config, tag: "t", at: Moment(nanoseconds: 0)))
  }

  @Test func thePasswordNeverCrossesTheWireInClear() {
    var wire = wire()
    wire.logIn()
    #expect(wire.sent.contains("AuthType: MD5"))
    #expect(!wire.sent.contains("pässword"))
    #expect(wire.sent.contains("Events: system,call,agent,user"))
  }

  @Test func afterTheLoginEverythingIsAskedFor() {
    var wire = wire()
    wire.logIn()
    for action in [
      "CoreStatus", "CoreShowChannels", "Status", "BridgeList", "QueueStatus", "ParkedCalls", "DeviceStateList",
    ] {
      #expect(wire.sent.contains("Action: \(action)\r\n"))
    }
    #expect(wire.facts.contains(.linkUp(epoch: nil)))
  }

  @Test func aSnapshotThatIsNeverAnsweredEndsAfterFiveSeconds() {
    var wire = wire()
    wire.logIn()
    #expect(!wire.facts.contains(.snapshotEnded))
    for _ in 0..<10 {
      wire.advance(.milliseconds(600))
      wire.receive("Event: X\n\n")
    }
    #expect(wire.facts.contains(.snapshotEnded))
    #expect(wire.isUnanswered && wire.end == nil)
  }

  @Test func aListWithoutAnEndIsNoPBXs() {
    var wire = wire()
    wire.logIn()
    let action = wire.sent.components(separatedBy: "Action: CoreShowChannels\r\nActionID: ")[1].prefix { $0 != "\r" }
    wire.receive("Response: Success\nActionID: \(action)\nEventList: start\n\n")
    for _ in 0..<41 where wire.end == nil {
      wire.receive(String(repeating: "Event: CoreShowChannel\nActionID: \(action)\n\n", count: 1000))
    }
    #expect(wire.end == .garbage)
  }

  @Test func silenceIsFoundWithinFiveSeconds() {
    var wire = wire()
    wire.logIn()
    var elapsed = 0.0
    while wire.end == nil, elapsed < 10 {
      wire.advance(.milliseconds(250))
      elapsed += 0.25
    }
    #expect(wire.end == .silent)
    #expect(elapsed <= 5)
    #expect(wire.sent.contains("Action: Ping"))
  }

  @Test func halfAMessageForEverIsSilence() {
    var wire = wire()
    wire.logIn()
    for index in 0..<20 where wire.end == nil {
      wire.advance(.milliseconds(250))
      wire.receive("Variable: x\(index)\n")
    }
    #expect(wire.end == .silent)
  }

  @Test func aPongIsEnoughToStay() {
    var wire = wire()
    wire.logIn()
    for _ in 0..<100 {
      wire.advance(.milliseconds(250))
      wire.receive("Event: Anything\n\n")
    }
    #expect(wire.end == nil)
  }

  @Test func refusalsAreTold() {
    for (answer, end) in [
      ("Authentication failed", AMISession.End.refused("Authentication failed")),
      ("Login Already In Use", .accountInUse),
    ] {
      var wire = wire()
      wire.receive("Asterisk Call Manager/11.0.0\n")
      wire.receive("Response: Success\nActionID: t-1\nChallenge: 42\n\n")
      wire.receive("Response: Error\nActionID: t-2\nMessage: \(answer)\n\n")
      #expect(wire.end == end)
    }
  }

  @Test func aServerWithoutChallengeGetsThePlainLogin() {
    var wire = wire()
    wire.receive("Asterisk Call Manager/1.3\n")
    wire.receive("Response: Error\nActionID: t-1\nMessage: Invalid/unknown command\n\n")
    #expect(wire.sent.contains("Secret: pässword"))
  }

  @Test func anotherProtocolIsNamed() {
    var wire = wire()
    wire.receive("SSH-2.0-OpenSSH_9.2\n")
    #expect(wire.end == .notAMI("SSH-2.0-OpenSSH_9.2"))
  }

  @Test func anAccountWithoutTheSystemClassIsLiveAfterAWhile() {
    var wire = wire()
    wire.receive("Asterisk Call Manager/11.0.0\n")
    wire.receive(
      "Response: Success\nActionID: t-1\nChallenge: 42\n\nResponse: Success\nActionID: t-2\nMessage: Authentication accepted\n\n"
    )
    #expect(!wire.sent.contains("CoreShowChannels"))
    for _ in 0..<21 {
      wire.advance(.milliseconds(500))
      wire.receive("Event: X\n\n")
    }
    #expect(wire.sent.contains("CoreShowChannels"))
  }

  @Test func aValueWithALineEndIsNeverSent() {
    #expect(AMIAction("Originate", [("CallerID", "x\r\nAction: Command")]).encoded(id: "1") == nil)
    #expect(AMIAction("Originate", [("Variable", String(repeating: "x", count: 1100))]).encoded(id: "1") == nil)
  }
}
