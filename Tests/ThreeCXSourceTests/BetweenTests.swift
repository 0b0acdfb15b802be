import Basics
import CallModel
import Normaliser
import Testing

@testable import ThreeCXSource

/// Between two telephones nobody of a call may be seen, and whoever looks just then must not take that for its end.
@Suite struct BetweenTests {
  private let line = "Wexternalline"
  private let ext = "Wextension"

  private func outside(
    _ dn: String, _ id: Int, _ status: String, behalf: String = "", behalfKind: String? = nil, referred: String = ""
  )
    -> Participant?
  {
    ByHand.part(
      dn, id, status, 1, "10000", line, number: "+15550100", behalf: behalf,
      behalfKind: behalfKind ?? (behalf.isEmpty ? "None" : ext), referred: referred)
  }

  /// 101 talks with somebody outside.
  private func talking() -> ByHand {
    var hand = ByHand()
    hand.set(outside("101", 1, "Ringing"))
    hand.run(1)
    hand.set(outside("101", 1, "Connected"))
    hand.run(1)
    return hand
  }

  /// 101 called 102, whose telephone rings no more.
  private func rungInVain() -> ByHand {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Dialing", 1, "102", ext))
    hand.set(ByHand.part("102", 2, "Ringing", 1, "101", ext))
    hand.run(1)
    hand.gone("102", 2)
    return hand
  }

  private func ends(_ hand: ByHand) -> Int { hand.events.count { $0.kind == .ended } }

  @Test(arguments: [false, true]) func aSnapshotThatSeesNobodyEndsNoCallThatGoesOn(isReconnect: Bool) {
    var hand = talking()
    hand.gone("101", 1)
    hand.run(0.3)
    if isReconnect { hand.reconnect(to: []) } else { hand.floor([], first: false) }
    hand.run(1)
    hand.set(outside("102", 2, "Ringing", referred: "101"))
    hand.run(1)
    hand.set(outside("102", 2, "Connected", referred: "101"))
    hand.run(1)
    hand.gone("102", 2)
    hand.run(3)
    #expect(ends(hand) == 1)
    #expect(hand.told.contains("call.transferred blind 101>102 [+15550100 101 extension:101 - -]"))
    #expect(hand.told.last == "call.ended [+15550100 101 extension:101 - answered]")
  }

  @Test func aCallThatASnapshotDoesNotListIsOverWithinTwoSeconds() {
    var hand = talking()
    hand.floor([], first: false)
    hand.run(1.9)
    #expect(ends(hand) == 1)
    #expect(hand.events.last?.isInferred == true)
  }

  @Test func whoTakesOverUnnamedWasHandedTheCaller() {
    var hand = talking()
    hand.gone("101", 1)
    hand.run(0.5)
    hand.set(outside("102", 2, "Ringing"))
    hand.run(1)
    #expect(hand.told.contains("call.transferred blind 101>102 [+15550100 101 extension:101 - -]"))
  }

  @Test func aForwardIsToldWhenItsTelephoneIsGoneAlready() {
    var hand = rungInVain()
    hand.run(0.5)
    hand.set(ByHand.part("103", 3, "Ringing", 1, "101", ext, behalf: "102", behalfKind: ext))
    hand.run(1)
    #expect(hand.told.contains("call.transferred forward 102>103 [101 102 - - -]"))
  }

  @Test func aForwardBeyondThePBXIsOne() {
    var hand = rungInVain()
    hand.set(ByHand.part("101", 1, "Dialing", 1, "10000", line, number: "+15550199"))
    hand.run(1)
    #expect(hand.told.contains("call.transferred forward 102>+15550199 [101 102 - - -]"))
  }

  @Test(arguments: [true, false]) func aSpecialMenuThatTakesAWantedCallIsAMailbox(rang: Bool) {
    var hand = ByHand()
    hand.kinds["999"] = .specialMenu
    hand.floor([], first: true)
    hand.set(ByHand.part("101", 1, "Dialing", 1, "102", ext))
    if rang {
      hand.set(ByHand.part("102", 2, "Ringing", 1, "101", ext))
      hand.run(1)
      hand.gone("102", 2)
    }
    hand.run(0.5)
    hand.set(ByHand.part("101", 1, "Connected", 1, "999", "Wspecialmenu"))
    hand.run(1)
    hand.gone("101", 1)
    hand.run(2)
    #expect(hand.told.last == "call.ended [101 102 voicemail:102@default - voicemail]", "\(hand.told)")
  }

  @Test func aRoutePointIsAnApplicationAndNobodyWhoTalks() {
    var hand = ByHand()
    hand.kinds["foreign"] = .routePoint
    hand.floor([], first: true)
    hand.set(outside("foreign", 1, "Connected"))
    hand.run(1)
    #expect(hand.told.contains { $0.hasPrefix("call.started [+15550100 foreign application:foreign") }, "\(hand.told)")
    hand.set(outside("101", 2, "Ringing"))
    hand.run(1)
    hand.gone("foreign", 1)
    hand.set(outside("101", 2, "Connected"))
    hand.run(1)
    #expect(hand.told.contains("call.updated [+15550100 foreign extension:101 - -]"), "\(hand.told)")
  }

  @Test func whoeverACallWasAskedForIsItsCallerThoughHisOwnTelephoneRingsFirst() {
    var hand = ByHand()
    hand.composer.expect(callerOn: "101", until: hand.moment + .seconds(60))
    hand.set(ByHand.part("101", 1, "Ringing", 1, "102", ext))
    hand.run(1)
    hand.set(ByHand.part("101", 1, "Connected", 1, "102", ext))
    hand.set(ByHand.part("102", 2, "Ringing", 1, "101", ext))
    hand.run(1)
    hand.set(ByHand.part("102", 2, "Connected", 1, "101", ext))
    hand.run(1)
    #expect(hand.told.last == "call.leg.answered extension:102 callee [101 102 extension:102 - -]", "\(hand.told)")
  }

  // MARK: A queue that may not be seen

  /// 101 rang for the queue and stopped; nobody else does yet.
  private func waiting() -> ByHand {
    var hand = ByHand(queueSeen: false)
    hand.set(outside("101", 1, "Ringing", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.gone("101", 1)
    return hand
  }

  @Test func whoStandsInTheListOfCallsWaitsOn() {
    var hand = waiting()
    let row = ActiveCallRow(id: 77, caller: "10000 provider (+15550100)", callee: "800 Queue", status: "Talking")
    for _ in 0..<10 {
      hand.run(2)
      #expect(hand.composer.wantsList)
      hand.list([row])
    }
    #expect(ends(hand) == 0)
    hand.set(outside("102", 2, "Ringing", behalf: "800", behalfKind: "Wqueue"))
    hand.set(outside("102", 2, "Connected", behalf: "800", behalfKind: "Wqueue"))
    hand.run(1)
    #expect(!hand.composer.wantsList)
    #expect(
      hand.told.last == "call.leg.answered extension:102 agent [+15550100 800 extension:102 800 -]", "\(hand.told)")
  }

  @Test func whoIsMissingInItTwiceHasGivenUp() {
    var hand = waiting()
    hand.run(2)
    hand.list([])
    #expect(ends(hand) == 0)
    hand.run(2)
    hand.list([])
    #expect(hand.told.last == "call.ended [+15550100 800 - 800 abandoned]", "\(hand.told)")
  }

  // MARK: Restarts

  @Test func idsThatWereGivenOutBeforeAreOfAnotherRun() {
    var hand = ByHand()
    hand.consult()
    hand.reconnect(
      to: [ByHand.part("120", 1, "Connected", 1, "121", ext), ByHand.part("121", 2, "Connected", 1, "120", ext)])
    hand.run(1)
    #expect(ends(hand) == 2)
    #expect(
      hand.told.contains("call.leg.answered extension:121 callee [120 121 extension:121 - -] inferred"), "\(hand.told)")
  }

  @Test func aTelephoneThatTalkedAndRingsIsOfAnotherRun() {
    var hand = talking()
    hand.reconnect(to: [outside("101", 1, "Ringing")])
    hand.run(1)
    #expect(ends(hand) == 1)
    #expect(hand.board.activeCalls.count == 1)
  }

  @Test func anOldCallWhosePeopleAllChangedIsStillTheSame() {
    var hand = talking()
    for id in 2...4 {
      hand.set(ByHand.part("110", id * 2, "Dialing", id, "111", ext))
      hand.set(ByHand.part("111", id * 2 + 1, "Ringing", id, "110", ext))
      hand.run(1)
      hand.gone("110", id * 2)
      hand.gone("111", id * 2 + 1)
      hand.run(1)
    }
    hand.reconnect(to: [outside("102", 20, "Connected", referred: "101")])
    hand.run(3)
    #expect(ends(hand) == 3)
    #expect(hand.board.activeCalls.map(\.from?.raw) == ["+15550100"])
  }

  @Test func nothingIsToldAsOfBeforeWhatWasTold() {
    var hand = talking()
    hand.gone("101", 1)
    hand.run(0.5)
    hand.set(outside("102", 2, "Ringing", referred: "101"))
    hand.run(1)
    hand.gone("102", 2)
    hand.run(3)
    let times = hand.events.filter { $0.call != nil }.map(\.occurredAt)
    #expect(times == times.sorted())
  }
}
