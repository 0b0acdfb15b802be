import Basics
import CallModel
import JSON
import Normaliser
import Testing

@testable import ThreeCXSource

/// Nothing says in which order and under which names a 3CX shows what happens: each of these is one story told oddly.
@Suite struct OddOrderTests {
  private let line = "Wexternalline"
  private let ext = "Wextension"

  @Test func agentsMayShowTheQueueAsTheirParty() {
    var hand = ByHand(queueSeen: false)
    hand.set(ByHand.part("101", 1, "Ringing", 5, "800", "Wqueue", number: "+15550100"))
    hand.run(2)
    hand.set(ByHand.part("101", 1, "Connected", 5, "800", "Wqueue", number: "+15550100"))
    hand.run(2)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [+15550100 800 - 800 -]",
        "call.ring [+15550100 800 - 800 -]",
        "call.leg.ringing extension:101 agent [+15550100 800 - 800 -]",
        "call.dequeued answered [+15550100 800 - 800 -]",
        "call.started [+15550100 800 extension:101 800 -]",
        "call.leg.answered extension:101 agent [+15550100 800 extension:101 800 -]",
        "call.leg.ended extension:101 completed [+15550100 800 extension:101 800 -]",
        "call.ended [+15550100 800 extension:101 800 answered]",
      ])
  }

  @Test func aQueueMayLetGoBeforeTheAgentIsConnected() {
    var hand = ByHand()
    hand.set(ByHand.part("800", 1, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(0.5)
    hand.set(
      ByHand.part("101", 2, "Ringing", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.gone("800", 1)
    hand.run(0.1)
    hand.set(
      ByHand.part("101", 2, "Connected", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.gone("101", 2)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [+15550100 800 - 800 -]",
        "call.ring [+15550100 800 - 800 -]",
        "call.leg.ringing extension:101 agent [+15550100 800 - 800 -]",
        "call.dequeued answered [+15550100 800 - 800 -]",
        "call.started [+15550100 800 extension:101 800 -]",
        "call.leg.answered extension:101 agent [+15550100 800 extension:101 800 -]",
        "call.leg.ended extension:101 completed [+15550100 800 extension:101 800 -]",
        "call.ended [+15550100 800 extension:101 800 answered]",
      ])
  }

  @Test func aQueuesPartMayRingFirst() {
    var hand = ByHand()
    hand.set(ByHand.part("800", 1, "Ringing", 5, "10000", line, number: "+15550100"))
    hand.run(0.5)
    hand.set(ByHand.part("800", 1, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(0.5)
    hand.set(
      ByHand.part("101", 2, "Ringing", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.set(
      ByHand.part("101", 2, "Connected", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.gone("800", 1)
    hand.gone("101", 2)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [+15550100 800 - 800 -]",
        "call.ring [+15550100 800 - 800 -]",
        "call.leg.ringing extension:101 agent [+15550100 800 - 800 -]",
        "call.dequeued answered [+15550100 800 - 800 -]",
        "call.started [+15550100 800 extension:101 800 -]",
        "call.leg.answered extension:101 agent [+15550100 800 extension:101 800 -]",
        "call.leg.ended extension:101 completed [+15550100 800 extension:101 800 -]",
        "call.ended [+15550100 800 extension:101 800 answered]",
      ])
  }

  @Test func anAgentMayShowBeforeTheQueue() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 2, "Ringing", 5, "10000", line, number: "+15550100"))
    hand.set(ByHand.part("800", 1, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(2)
    hand.set(ByHand.part("101", 2, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(2)
    hand.gone("800", 1)
    hand.run(2)
    hand.gone("101", 2)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [+15550100 101 - - -]",
        "call.leg.ringing extension:101 callee [+15550100 101 - - -]",
        "call.queued [+15550100 101 - 800 -]",
        "call.dequeued answered [+15550100 101 - 800 -]",
        "call.started [+15550100 101 extension:101 800 -]",
        "call.leg.answered extension:101 agent [+15550100 101 extension:101 800 -]",
        "call.leg.ended extension:101 completed [+15550100 101 extension:101 800 -]",
        "call.ended [+15550100 101 extension:101 800 answered]",
      ])
  }

  @Test func aQueueMayOverflowToSomebody() {
    var hand = ByHand()
    hand.set(ByHand.part("800", 1, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(2)
    hand.gone("800", 1)
    hand.run(0.2)
    hand.set(ByHand.part("105", 2, "Ringing", 5, "10000", line, number: "+15550100"))
    hand.run(2)
    hand.set(ByHand.part("105", 2, "Connected", 5, "10000", line, number: "+15550100"))
    hand.run(2)
    hand.gone("105", 2)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [+15550100 800 - 800 -]",
        "call.dequeued timeout [+15550100 800 - 800 -]",
        "call.ring [+15550100 800 - 800 -]",
        "call.leg.ringing extension:105 callee [+15550100 800 - 800 -]",
        "call.started [+15550100 800 extension:105 800 -]",
        "call.leg.answered extension:105 callee [+15550100 800 extension:105 800 -]",
        "call.leg.ended extension:105 completed [+15550100 800 extension:105 800 -]",
        "call.ended [+15550100 800 extension:105 800 answered]",
      ])
  }

  @Test func theCalledMayShowBeforeTheCaller() {
    var hand = ByHand()
    hand.set(ByHand.part("102", 2, "Ringing", 5, "101", ext))
    hand.set(ByHand.part("101", 1, "Dialing", 5, "102", ext))
    hand.run(2)
    hand.set(ByHand.part("102", 2, "Connected", 5, "101", ext))
    hand.set(ByHand.part("101", 1, "Connected", 5, "102", ext))
    hand.run(2)
    hand.gone("102", 2)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [101 102 - - -]",
        "call.leg.ringing extension:102 callee [101 102 - - -]",
        "call.started [101 102 extension:102 - -]",
        "call.leg.answered extension:102 callee [101 102 extension:102 - -]",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func aForwardMayShowBeforeTheCaller() {
    var hand = ByHand()
    hand.set(ByHand.part("103", 2, "Ringing", 5, "101", ext, behalf: "102", behalfKind: ext))
    hand.set(ByHand.part("101", 1, "Dialing", 5, "103", ext))
    hand.run(2)
    hand.set(ByHand.part("103", 2, "Connected", 5, "101", ext, behalf: "102", behalfKind: ext))
    hand.set(ByHand.part("101", 1, "Connected", 5, "103", ext))
    hand.run(2)
    hand.gone("103", 2)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.transferred forward 102>103 [101 103 - - -]",
        "call.ring [101 103 - - -]",
        "call.leg.ringing extension:103 callee [101 103 - - -]",
        "call.started [101 103 extension:103 - -]",
        "call.leg.answered extension:103 callee [101 103 extension:103 - -]",
        "call.leg.ended extension:103 completed [101 103 extension:103 - -]",
        "call.ended [101 103 extension:103 - answered]",
      ])
  }

  @Test func anInternalCallThatWasThereKeepsItsCaller() {
    var hand = ByHand()
    hand.floor(
      [ByHand.part("101", 1, "Connected", 5, "102", ext), ByHand.part("102", 2, "Connected", 5, "101", ext)],
      first: true)
    hand.run(2)
    hand.gone("102", 2)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [101 102 - - -] inferred",
        "call.leg.ringing extension:102 callee [101 102 - - -] inferred",
        "call.started [101 102 extension:102 - -] inferred",
        "call.leg.answered extension:102 callee [101 102 extension:102 - -] inferred",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func aRingingTelephoneMayBeHandedOver() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Ringing", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.set(ByHand.part("101", 1, "Connected", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.set(ByHand.part("101", 2, "Dialing", 2, "102", ext))
    hand.set(ByHand.part("102", 3, "Ringing", 2, "101", ext))
    hand.run(1)
    // transferred while ringing: 102's part is counted to call 1
    hand.set(ByHand.part("102", 3, "Ringing", 1, "10000", line, number: "+15550100", referred: "101"))
    hand.gone("101", 2)
    hand.gone("101", 1)
    hand.run(1)
    hand.set(ByHand.part("102", 3, "Connected", 1, "10000", line, number: "+15550100", referred: "101"))
    hand.run(2)
    hand.gone("102", 3)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [+15550100 101 - - -]",
        "call.leg.ringing extension:101 callee [+15550100 101 - - -]",
        "call.started [+15550100 101 extension:101 - -]",
        "call.leg.answered extension:101 callee [+15550100 101 extension:101 - -]",
        "call.ring [101 102 - - -]",
        "call.leg.ringing extension:102 callee [101 102 - - -]",
        "call.leg.ended extension:102 no_answer [101 102 - - -]",
        "call.ended [101 102 - - cancelled]",
        "call.transferred attended 101>102 [+15550100 101 extension:101 - -]",
        "call.leg.ringing extension:102 callee [+15550100 101 extension:101 - -]",
        "call.updated [+15550100 101 extension:101 - -]",
        "call.leg.ended extension:101 completed [+15550100 101 extension:101 - -]",
        "call.leg.answered extension:102 callee [+15550100 101 extension:101 - -]",
        "call.leg.ended extension:102 completed [+15550100 101 extension:101 - -]",
        "call.ended [+15550100 101 extension:101 - answered]",
      ])
  }

  @Test func bothPartiesOfATransferMayGoToAThirdCall() {
    var hand = ByHand()
    hand.consult()
    hand.set(ByHand.part("101", 1, "Connected", 3, "103", ext))
    hand.set(ByHand.part("103", 4, "Connected", 3, "101", ext))
    hand.gone("102", 2)
    hand.gone("102", 3)
    hand.run(2)
    hand.gone("103", 4)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == ByHand.toldOfConsultation + [
        "call.ended [102 103 extension:103 - answered]",
        "call.transferred attended 102>103 [101 102 extension:102 - -]",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.updated [101 102 extension:102 - -]",
        "call.leg.ended extension:103 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func theCallerMayJoinTheConsultation() {
    var hand = ByHand()
    hand.consult()
    hand.set(ByHand.part("101", 1, "Connected", 2, "103", ext))
    hand.set(ByHand.part("103", 4, "Connected", 2, "101", ext))
    hand.gone("102", 2)
    hand.gone("102", 3)
    hand.run(2)
    hand.gone("103", 4)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == ByHand.toldOfConsultation + [
        "call.ended [102 103 extension:103 - answered]",
        "call.transferred attended 102>103 [101 102 extension:102 - -]",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.updated [101 102 extension:102 - -]",
        "call.leg.ended extension:103 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func aBlindTransferMayBeginANewCall() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Ringing", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.set(ByHand.part("101", 1, "Connected", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.set(ByHand.part("102", 3, "Ringing", 2, "10000", line, number: "+15550100", referred: "101"))
    hand.gone("101", 1)
    hand.run(3)
    hand.set(ByHand.part("102", 3, "Connected", 2, "10000", line, number: "+15550100", referred: "101"))
    hand.run(2)
    hand.gone("102", 3)
    hand.run(5)
    #expect(
      hand.told == [
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
      ])
  }

  @Test func diallingMayShowDigitsBeforeTheLine() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Dialing", 1, "015550100", "None"))
    hand.run(0.2)
    hand.set(ByHand.part("101", 1, "Dialing", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.set(ByHand.part("101", 1, "Connected", 1, "10000", line, number: "+15550100"))
    hand.run(1)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [101 015550100 - - -]",
        "call.leg.ringing extension:015550100 callee [101 015550100 - - -]",
        "call.leg.ended extension:015550100 cancelled [101 015550100 - - -]",
        "call.leg.ringing external:+15550100 callee [101 015550100 - - -]",
        "call.started [101 015550100 external:+15550100 - -]",
        "call.leg.answered external:+15550100 callee [101 015550100 external:+15550100 - -]",
        "call.leg.ended external:+15550100 completed [101 015550100 external:+15550100 - -]",
        "call.ended [101 015550100 external:+15550100 - answered]",
      ])
  }

  @Test func whoIsNotSeenMayBeReplaced() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Dialing", 1, "250", ext))
    hand.run(0.2)
    hand.set(ByHand.part("101", 1, "Connected", 1, "250", ext))
    hand.run(2)
    hand.set(ByHand.part("101", 1, "Connected", 1, "251", ext))
    hand.run(10)
    print("f3 legs:", hand.board.activeCalls.map { $0.legs.map { "\($0.party.id):\($0.state)" } })
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [101 250 - - -]",
        "call.leg.ringing extension:250 callee [101 250 - - -]",
        "call.started [101 250 extension:250 - -]",
        "call.leg.answered extension:250 callee [101 250 extension:250 - -]",
        "call.leg.ended extension:250 completed [101 250 extension:250 - -]",
        "call.leg.ringing extension:251 callee [101 250 extension:250 - -]",
        "call.leg.answered extension:251 callee [101 250 extension:250 - -]",
        "call.leg.ended extension:251 completed [101 250 extension:250 - -]",
        "call.ended [101 250 extension:250 - answered]",
      ])
  }

  @Test func aParticipantThatFlapsIsNotLost() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 1, "Dialing", 5, "102", ext))
    hand.set(ByHand.part("102", 2, "Ringing", 5, "101", ext))
    hand.run(1)
    // a fetch says 404 or garbage once
    hand.gone("102", 2)
    hand.run(1)
    hand.set(ByHand.part("102", 2, "Ringing", 5, "101", ext))
    hand.run(1)
    hand.set(ByHand.part("102", 2, "Connected", 5, "101", ext))
    hand.set(ByHand.part("101", 1, "Connected", 5, "102", ext))
    hand.run(3)
    hand.gone("102", 2)
    hand.gone("101", 1)
    hand.run(5)
    #expect(
      hand.told == [
        "call.ring [101 102 - - -]",
        "call.leg.ringing extension:102 callee [101 102 - - -]",
        "call.leg.ended extension:102 no_answer [101 102 - - -]",
        "call.leg.ringing extension:102 callee [101 102 - - -]",
        "call.started [101 102 extension:102 - -]",
        "call.leg.answered extension:102 callee [101 102 extension:102 - -]",
        "call.leg.ended extension:102 completed [101 102 extension:102 - -]",
        "call.ended [101 102 extension:102 - answered]",
      ])
  }

  @Test func aQueueThatIsNotSeenMayPauseBetweenAgents() {
    var hand = ByHand(queueSeen: false)
    hand.set(
      ByHand.part("101", 1, "Ringing", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(5)
    hand.gone("101", 1)
    hand.run(1.9)
    hand.set(
      ByHand.part("102", 2, "Ringing", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.set(
      ByHand.part("102", 2, "Connected", 5, "10000", line, number: "+15550100", behalf: "800", behalfKind: "Wqueue"))
    hand.run(2)
    hand.gone("102", 2)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [+15550100 800 - 800 -]",
        "call.ring [+15550100 800 - 800 -]",
        "call.leg.ringing extension:101 agent [+15550100 800 - 800 -]",
        "call.leg.ended extension:101 no_answer [+15550100 800 - 800 -]",
        "call.leg.ringing extension:102 agent [+15550100 800 - 800 -]",
        "call.dequeued answered [+15550100 800 - 800 -]",
        "call.started [+15550100 800 extension:102 800 -]",
        "call.leg.answered extension:102 agent [+15550100 800 extension:102 800 -]",
        "call.leg.ended extension:102 completed [+15550100 800 extension:102 800 -]",
        "call.ended [+15550100 800 extension:102 800 answered]",
      ])
  }

  @Test func theCallerOfAQueueMayBeSeen() {
    var hand = ByHand()
    hand.set(ByHand.part("800", 1, "Connected", 5, "101", ext))
    hand.set(ByHand.part("101", 2, "Connected", 5, "800", "Wqueue"))
    hand.run(1)
    hand.set(ByHand.part("102", 3, "Ringing", 5, "800", "Wqueue", number: "101"))
    hand.set(ByHand.part("103", 4, "Ringing", 5, "800", "Wqueue", number: "101"))
    hand.run(2)
    hand.set(ByHand.part("102", 3, "Connected", 5, "101", ext))
    hand.run(0.05)
    hand.set(ByHand.part("101", 2, "Connected", 5, "102", ext))
    hand.run(0.05)
    hand.gone("103", 4)
    hand.run(1)
    hand.gone("800", 1)
    hand.run(2)
    hand.gone("101", 2)
    hand.run(2)
    hand.gone("102", 3)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [101 800 - 800 -]",
        "call.ring [101 800 - 800 -]",
        "call.leg.ringing extension:102 agent [101 800 - 800 -]",
        "call.leg.ringing extension:103 agent [101 800 - 800 -]",
        "call.dequeued answered [101 800 - 800 -]",
        "call.leg.ended extension:103 answered_elsewhere [101 800 - 800 -]",
        "call.started [101 800 extension:102 800 -]",
        "call.leg.answered extension:102 agent [101 800 extension:102 800 -]",
        "call.updated [101 800 extension:102 800 -]",
        "call.leg.ended extension:102 completed [101 800 extension:102 800 -]",
        "call.ended [101 800 extension:102 800 answered]",
      ])
  }

  @Test func theCallersPartMayBeReplacedAtTheAnswer() {
    var hand = ByHand()
    hand.set(ByHand.part("101", 2, "Connected", 5, "800", "Wqueue"))
    hand.set(ByHand.part("800", 1, "Connected", 5, "101", ext))
    hand.run(1)
    hand.set(ByHand.part("102", 3, "Ringing", 5, "101", ext))
    hand.run(2)
    // caller gets a new participant when connected
    hand.gone("101", 2)
    hand.gone("800", 1)
    hand.set(ByHand.part("101", 7, "Connected", 5, "102", ext))
    hand.set(ByHand.part("102", 3, "Connected", 5, "101", ext))
    hand.run(2)
    hand.gone("101", 7)
    hand.gone("102", 3)
    hand.run(5)
    #expect(
      hand.told == [
        "call.queued [101 800 - 800 -]",
        "call.ring [101 800 - 800 -]",
        "call.leg.ringing extension:102 agent [101 800 - 800 -]",
        "call.dequeued answered [101 800 - 800 -]",
        "call.started [101 800 extension:102 800 -]",
        "call.leg.answered extension:102 agent [101 800 extension:102 800 -]",
        "call.leg.ended extension:102 completed [101 800 extension:102 800 -]",
        "call.ended [101 800 extension:102 800 answered]",
      ])
  }

  @Test(arguments: [[.max, 5], [5, .min], [-1, 0, .max - 1], [1 << 62, 3]] as [[Int64]])
  func noSequenceNumberTraps(_ numbers: [Int64]) {
    var session = CallControlSession(livePeriod: .seconds(15), idlePeriod: .seconds(300))
    let now = Moment(nanoseconds: 0)
    _ = session.opened(at: now)
    _ = session.snapshot([], at: now)
    for number in numbers {
      _ = session.received(CallControlFrame(sequence: number, isRemoval: false, entity: .other), at: now)
    }
    #expect(session.participants.isEmpty)
  }

  /// Digits and prompts are numbered with the rest: none of them is a loss.
  @Test func framesOfEveryKindAreCounted() throws {
    var session = CallControlSession(livePeriod: .seconds(15), idlePeriod: .seconds(300))
    var now = Moment(nanoseconds: 0)
    _ = session.opened(at: now)
    _ = session.snapshot([], at: now)
    for number in 1...20 {
      let text = "{\"sequence\":\(number),\"event\":{\"event_type\":\(number % 6),\"entity\":\"/callcontrol/101\"}}"
      let frame = try #require(CallControlFrame(Array(text.utf8)))
      #expect(frame.sequence == Int64(number))
      if number % 6 > 1 {
        _ = session.received(frame, at: now)
      } else {
        _ = session.received(CallControlFrame(sequence: frame.sequence, isRemoval: false, entity: .other), at: now)
      }
    }
    now = now + .seconds(2)
    #expect(session.tick(at: now).isEmpty)
  }
}
