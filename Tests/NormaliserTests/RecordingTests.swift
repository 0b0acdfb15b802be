import AsteriskSource
import Basics
import CallModel
import Normaliser
import TestSupport
import Testing

@Suite struct RecordingTests {
  static func events(_ recording: AMIRecording) throws -> [CallEvent] {
    var board = Switchboard(source: "sidetone://replay/asterisk")
    var events: [CallEvent] = []
    for observation in try recording.observations() { events += board.apply(observation) }
    return events + board.close(at: recording.endedAt, reason: "the recording ended")
  }

  @Test func everyRecordingGivesTheCallsThatTheTelephonesSaw() throws {
    #expect(Fixtures.connections.count >= 74)
    for name in Fixtures.connections {
      let differences = Truth.differences(name, try Self.events(Fixtures.recording(name)), timed: true)
      print(
        name.padding(to: 44), differences.isEmpty ? "as the telephones saw it" : differences.joined(separator: " | "))
      #expect(differences.isEmpty, "\(name): \(differences)")
    }
  }

  /// No rule may know the names of the recordings' dial plan.
  @Test func renamedExtensionsContextsQueuesAndTrunksGiveTheSameCalls() throws {
    for name in Fixtures.connections where !name.hasPrefix("protocol-errors") {
      let events = try Self.events(Fixtures.recording(name, edit: Rename.message))
      let differences = Truth.differences(name, events, timed: true, rename: Rename.value)
      #expect(differences.isEmpty, "\(name): \(differences)")
    }
  }

  @Test func theSameRecordingGivesTheSameIdsAgain() throws {
    let recording = Fixtures.recording("queue-answered")
    let (first, second) = (try Self.events(recording), try Self.events(recording))
    #expect(first == second)
    #expect(Set(first.map(\.id)).count == first.count)
  }

  @Test func theMemoryIsEmptyWhenAllCallsHaveEnded() throws {
    for name in Fixtures.connections {
      var board = Switchboard(source: "test")
      let recording = Fixtures.recording(name)
      for observation in try recording.observations() { _ = board.apply(observation) }
      _ = board.close(at: recording.endedAt, reason: "end")
      #expect(board.legCount == 0, "\(name)")
      #expect(board.activeCalls.isEmpty, "\(name)")
    }
  }

  /// What was told of the open calls is enough to go on with, at every point where the agent may have died.
  @Test(arguments: ["blind-transfer-refer", "queue-answered", "park-retrieve", "hold-unhold"])
  func afterARestartAtAnyEventEveryCallStillEndsOnce(name: String) throws {
    let observations = try Fixtures.recording(name).observations()
    for cut in observations.indices {
      var board = Switchboard(source: "test")
      var told = observations[..<cut].flatMap { board.apply($0) }
      var again = Switchboard(source: "test")
      let open = board.activeCalls.map { call in (call, told.count { $0.call?.id == call.id }) }
      again.restore(open)
      for observation in observations[cut...] { told += again.apply(observation) }
      told += again.close(at: Timestamp(seconds: 1_900_000_000), reason: "end")
      for story in Truth.stories(told) {
        #expect(story.events.count { $0.kind == .ended } == 1, "\(name) cut at \(cut)")
      }
      #expect(Set(told.map(\.id)).count == told.count, "\(name) cut at \(cut)")
    }
  }
}

/// Another dial plan for the same calls.
enum Rename {
  static func value(_ text: String) -> String {
    if text.hasSuffix("@default") { return value(String(text.dropLast(8))) + "@default" }
    if text.count == 4, text.hasPrefix("10"), text.allSatisfy(\.isNumber) { return "7" + text.dropFirst() }
    switch text {
    case "sales": return "q9"
    case "support": return "q10"
    case "room1": return "salle"
    default: return text
    }
  }

  static func message(_ text: String) -> String {
    var text = text
    for (from, to) in [
      ("PJSIP/trunk-", "PJSIP/pstn-a-"), ("@trunk", "@pstn-a"), ("from-trunk", "from-pstn"),
      ("internal", "from-internal"),
      ("sales", "q9"), ("support", "q10"), ("room1", "salle"),
    ] { text = text.replacing(from, with: to) }
    for digit in 1...6 {
      let (old, new) = ("100\(digit)", "700\(digit)")
      for (left, right) in [
        (": ", "\r\n"), ("PJSIP/", ""), ("Local/", "@"), (": ", "@"), (": ", ","), ("\"", "\""), (" to ", ""),
        ("call ", ""), ("&PJSIP/", ""), (" ", "\r\n"),
      ] { text = text.replacing(left + old + right, with: left + new + right) }
    }
    return text
  }
}

extension String {
  func padding(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
}
