import Basics
import CallModel
import Normaliser
import Testing

/// What our own commands do to a call, told apart from what its people do.
struct CommandTests {
  private var board = Switchboard(source: "test")
  private var clock: Int64 = 1_000_000

  private mutating func see(_ fact: Observation.Fact) -> [CallEvent] {
    clock += 100_000
    return board.apply(Observation(at: Timestamp(microseconds: clock), fact))
  }

  private func channel(
    _ id: String, of group: String, _ endpoint: String, _ state: ChannelFacts.State, context: String = "internal",
    exten: String = ""
  ) -> ChannelFacts {
    ChannelFacts(
      id: id, group: group, name: "PJSIP/\(endpoint)-\(id)", state: state, number: endpoint, context: context,
      exten: exten)
  }

  private func bridge(_ id: String) -> BridgeFacts { BridgeFacts(id: id, kind: .talk) }

  /// `caller` rings `callee`; gives the call's id.
  private mutating func ring(_ group: String, _ caller: String, _ callee: String) throws -> CallID {
    _ = see(.linkUp(epoch: "one"))
    _ = see(.unfilteredWitness)
    _ = see(.channel(channel(group, of: group, caller, .ring, exten: callee)))
    let from = channel(group, of: group, caller, .ring, exten: callee)
    let to = channel(group + "-b", of: group, callee, .down)
    _ = see(.dialBegan(from: from, to: to, dialled: callee))
    let events = see(.channel(channel(group + "-b", of: group, callee, .ringing)))
    return try #require(events.first?.call?.id)
  }

  private mutating func talk(_ group: String, _ caller: String, _ callee: String) throws -> CallID {
    let id = try ring(group, caller, callee)
    _ = see(.channel(channel(group + "-b", of: group, callee, .up)))
    _ = see(.channel(channel(group, of: group, caller, .up, exten: callee)))
    _ = see(.bridgeEntered(channel(group + "-b", of: group, callee, .up), bridge("bridge-" + group)))
    _ = see(.bridgeEntered(channel(group, of: group, caller, .up, exten: callee), bridge("bridge-" + group)))
    return id
  }

  @Test mutating func aRingingCallHungUpByCommandIsCancelledByTheSystem() throws {
    let id = try ring("1", "1001", "1002")
    _ = see(.hangUpCommanded(id, isRefused: false))
    _ = see(.hungUp(channel("1-b", of: "1", "1002", .ringing), cause: 16))
    let end = try #require(see(.hungUp(channel("1", of: "1", "1001", .ring), cause: 16)).last?.call)
    #expect(end.disposition == .cancelled)
    #expect(end.endedBy == .system)
  }

  @Test mutating func aHangUpThatWasRefusedEndedNothing() throws {
    let id = try talk("1", "1001", "1002")
    _ = see(.hangUpCommanded(id, isRefused: false))
    _ = see(.hangUpCommanded(id, isRefused: true))
    _ = see(.hangupRequested(channel("1-b", of: "1", "1002", .up), cause: 16))
    _ = see(.hungUp(channel("1-b", of: "1", "1002", .up), cause: 16))
    let end = try #require(see(.hungUp(channel("1", of: "1", "1001", .up), cause: 16)).last?.call)
    #expect(end.endedBy == Party(.extension, "1002"))
  }

  @Test mutating func aConsultationJoinedByCommandIsAnAttendedTransfer() throws {
    let customer = try talk("1", "1001", "1002")
    let consultation = try talk("2", "1002", "1003")
    _ = see(.joinCommanded(leg: "1", with: "2-b", by: Party(.extension, "1002")))
    _ = see(.bridgeEntered(channel("1", of: "1", "1001", .up), bridge("new")))
    let events = see(.bridgeEntered(channel("2-b", of: "2", "1003", .up), bridge("new")))
    let transfers = events.filter { $0.kind.type == "call.transferred" }
    #expect(
      transfers.map(\.kind) == [
        .transferred(.attended, from: Party(.extension, "1002"), to: Party(.extension, "1003"))
      ])
    #expect(transfers.map(\.call?.id) == [customer])
    #expect(events.filter { $0.kind == .ended }.map(\.call?.id) == [consultation])
  }

  @Test mutating func whoIsLeftAloneOnHoldByCommandIsNamedOnce() throws {
    _ = try talk("1", "1001", "1002")
    for (id, endpoint, exten) in [("1", "1001", "s"), ("1-b", "1002", "wait")] {
      let moved = channel(id, of: "1", endpoint, .up, context: "hold", exten: exten)
      _ = see(.channel(moved))
      _ = see(.bridgeLeft(moved, bridge("bridge-1")))
    }
    #expect(board.activeCalls.map(\.state) == [.held])
    #expect(board.takeStranded().isEmpty)
    _ = see(.hungUp(channel("1-b", of: "1", "1002", .up, context: "hold", exten: "wait"), cause: 16))
    #expect(board.takeStranded().map(\.name) == ["PJSIP/1001-1"])
    #expect(board.takeStranded().isEmpty)
  }

  @Test mutating func aSecondHoldIsSeenThoughNobodyGoesAnywhereNew() throws {
    let id = try talk("1", "1001", "1002")
    for leg in [("1", "1001", "s"), ("1-b", "1002", "wait")] {
      let waiting = channel(leg.0, of: "1", leg.1, .up, context: "hold", exten: leg.2)
      _ = see(.bridgeEntered(waiting, bridge("again")))
    }
    _ = see(.holdCommanded(id, isRefused: false))
    var events: [CallEvent] = []
    for leg in [("1", "1001", "s"), ("1-b", "1002", "wait")] {
      let waiting = channel(leg.0, of: "1", leg.1, .up, context: "hold", exten: leg.2)
      events += see(.bridgeLeft(waiting, bridge("again")))
    }
    #expect(events.map(\.kind) == [.held(by: nil, .bridge)])
  }

  @Test mutating func whoHangsUpInTheBusyToneCancelledNothing() throws {
    _ = try ring("1", "1001", "1002")
    _ = see(.channel(channel("1", of: "1", "1001", .up, exten: "1002")))
    _ = see(.dialEnded(from: nil, to: channel("1-b", of: "1", "1002", .ringing), status: "BUSY", forward: nil))
    _ = see(.hungUp(channel("1-b", of: "1", "1002", .ringing), cause: 17))
    _ = see(.hangupRequested(channel("1", of: "1", "1001", .up, exten: "1002"), cause: 16))
    let end = try #require(see(.hungUp(channel("1", of: "1", "1001", .up, exten: "1002"), cause: 16)).last?.call)
    #expect(end.disposition == .busy)
  }

  @Test mutating func aTelephoneThatRingsInABridgeHasNotAnswered() throws {
    _ = try ring("1", "1001", "1002")
    _ = see(.bridgeEntered(channel("1", of: "1", "1001", .up, exten: "1002"), bridge("early")))
    let events = see(.bridgeEntered(channel("1-b", of: "1", "1002", .ringing), bridge("early")))
    #expect(!events.contains { $0.kind.type == "call.leg.answered" })
  }

  @Test mutating func aCallWePlaceNamesItsPeopleFromTheStart() throws {
    _ = see(.linkUp(epoch: "one"))
    let id = board.expect(group: "g", from: "1001", to: "15550199", at: Timestamp(microseconds: clock))
    _ = see(.channel(channel("g", of: "g", "1001", .down)))
    _ = see(.channel(channel("g", of: "g", "1001", .ringing)))
    let end = try #require(see(.hungUp(channel("g", of: "g", "1001", .ringing), cause: 17)).last?.call)
    #expect(end.id == id && end.direction == .outbound && end.disposition == .busy)
    #expect(end.from?.raw == "1001" && end.to?.raw == "15550199")
  }

  @Test mutating func aToneIsNobodysAnswer() throws {
    _ = see(.linkUp(epoch: "one"))
    _ = see(.unfilteredWitness)
    _ = board.expect(group: "g", from: "1001", to: "1006", at: Timestamp(microseconds: clock))
    _ = see(.channel(channel("g", of: "g", "1001", .down)))
    _ = see(.channel(channel("g", of: "g", "1001", .up)))
    _ = see(
      .applicationFound(channel("g", of: "g", "1001", .up, exten: "s-CHANUNAVAIL"), name: "Congestion", data: "5"))
    let end = try #require(
      see(.hungUp(channel("g", of: "g", "1001", .up, exten: "s-CHANUNAVAIL"), cause: 3)).last?.call)
    #expect(end.disposition == .failed && end.reason == "unreachable" && end.to?.raw == "1006")
  }

  @Test mutating func theMachineThatTookACallEndsWithIt() throws {
    _ = see(.linkUp(epoch: "one"))
    _ = see(.channel(channel("1", of: "1", "1001", .ring, exten: "600")))
    _ = see(.application(channel("1", of: "1", "1001", .up, exten: "600"), name: "Echo", data: ""))
    let end = try #require(see(.hungUp(channel("1", of: "1", "1001", .up, exten: "600"), cause: 16)).last?.call)
    #expect(end.legs.map(\.state) == [.ended, .ended])
  }
}
