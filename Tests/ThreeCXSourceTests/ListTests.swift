import Basics
import CallModel
import Loop
import Normaliser
import TestSupport
import Testing

@testable import ThreeCXSource

/// Calls out of the XAPI's list alone.
@Suite struct ListTests {
  private let kinds: [String: PartyKind] = ["800": .queue, "850": .ivr, "1003": .person]

  private func told(_ readings: [[ActiveCallRow]]) -> [String] {
    var list = ActiveCallsBoard(epoch: "1")
    var board = Switchboard(source: "test")
    var time = Timestamp(microseconds: 1_800_000_000_000_000)
    var events = board.apply(Observation(at: time, .linkUp(epoch: nil)))
    for (index, reading) in readings.enumerated() {
      time = time.adding(seconds: 1)
      for observation in list.apply(reading, kinds: kinds, isFirst: index == 0, time: time) {
        events += board.apply(observation)
      }
    }
    #expect(board.activeCalls.isEmpty)
    return events.map(Floor.line)
  }

  private func row(_ caller: String, _ callee: String, _ status: String) -> ActiveCallRow {
    ActiveCallRow(id: 7, caller: caller, callee: callee, status: status)
  }

  @Test func aCallRingsTalksAndEnds() {
    let (one, two) = ("101 Ann, office", "102 Bob")
    #expect(
      told([[], [row(one, two, "Routing")], [row(one, two, "Talking")], []]) == [
        "link.up [- - - - -]", "call.ring [101 102 - - -]", "call.leg.ringing extension:102 callee [101 102 - - -]",
        "call.started [101 102 extension:102 - -]",
        "call.leg.answered extension:102 callee [101 102 extension:102 - -]",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func whoTalksToAQueueWaitsInIt() {
    let caller = "10000 provider (+15550100)"
    let events = told([
      [], [row(caller, "800 - Queue 1", "Talking")], [row(caller, "101 Ann", "Routing")],
      [row(caller, "101 Ann", "Talking")], [],
    ])
    #expect(events.contains("call.queued [+15550100 800 - 800 -]"))
    #expect(events.contains("call.dequeued answered [+15550100 800 - 800 -]"))
    #expect(events.last == "call.ended [+15550100 800 extension:101 800 answered]")
    let abandoned = told([[], [row(caller, "800 - Queue 1", "Talking")], []])
    #expect(abandoned.last == "call.ended [+15550100 800 - 800 abandoned]")
  }

  @Test func aMenuAnswersAsAMachine() {
    let caller = "10000 provider (+15550100)"
    let events = told([
      [], [row(caller, "850 Menu", "Talking")], [row(caller, "101 Ann", "Routing")],
      [row(caller, "101 Ann", "Talking")],
      [],
    ])
    #expect(events.contains { $0.hasPrefix("call.started [+15550100 850 ivr:850") }, "\(events)")
    #expect(events.last == "call.ended [+15550100 850 extension:101 - answered]")
  }

  @Test func whatWasThereBeforeIsInferred() {
    let events = told([[row("101 Ann", "102 Bob", "Talking")], []])
    #expect(events[1] == "call.ring [101 102 - - -] inferred")
    #expect(events.last == "call.ended [101 102 extension:102 - answered]")
  }

  @Test(
    arguments: [
      ("1002 tools, admin", "1002", nil), ("10000 provider (+1515)", "+1515", "10000"), ("8003 - Queue 1", "8003", nil),
      ("101 Ann (Sales)", "101", nil), ("1003 Bob (+15550100)", "1003", nil), ("", "", nil), ("(", "(", nil),
      (")(", ")(", nil),
    ] as [(String, String, String?)])
  func theNumberIsReadOutOfTheText(_ text: String, _ number: String, _ trunk: String?) {
    var list = ActiveCallsBoard(epoch: "1")
    _ = list.apply([], kinds: kinds, isFirst: true, time: Timestamp(microseconds: 0))
    let party = list.party(text)
    #expect(party.number == number && party.trunk == trunk)
  }
}
