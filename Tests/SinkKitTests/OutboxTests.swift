import Basics
import CallModel
import SinkKit
import Testing

/// What a destination is given and when, without a clock, a disk or a peer.
@Suite struct OutboxTests {
  static func entry(_ position: Int64, call: UInt64? = nil, type: String = "call.ring") -> JournalEntry {
    JournalEntry(
      position: Position(position), id: EventID(UUID(high: 7, low: UInt64(position))), type: type, source: "test",
      tenant: .standard, occurredAt: Timestamp(microseconds: 0), callID: call.map { CallID(UUID(high: 1, low: $0)) },
      call: nil, detail: Array("{}".utf8))
  }

  /// An outbox with its time, and what is on its disk.
  struct Bench {
    var outbox: Outbox
    var now = Moment(nanoseconds: 1_000_000_000)
    var progress = Progress(checkpoint: .start)
    var rows: [Position: OpenDelivery] = [:]
    let limits: Outbox.Limits

    init(_ change: (inout Outbox.Limits) -> Void = { _ in }) {
      var limits = Outbox.Limits()
      change(&limits)
      self.limits = limits
      outbox = Outbox(
        Progress(checkpoint: .start), open: [], limits: limits, at: Moment(nanoseconds: 1_000_000_000),
        wall: Timestamp(microseconds: 1_000_000))
    }

    var wall: Timestamp { Timestamp(microseconds: now.nanoseconds / 1000) }

    mutating func wait(_ seconds: Double) { now = now + .nanoseconds(Int64(seconds * 1e9)) }

    mutating func offer(_ entries: JournalEntry...) { for entry in entries { outbox.offer(entry, isWanted: true) } }

    /// The next thing to send, with the positions in it.
    mutating func next() -> (flight: Outbox.FlightID, positions: [Int64])? {
      switch outbox.next(at: now, wall: wall) {
      case nil: nil
      case .send(let flight, let delivery): (flight, delivery.entries.map(\.position.value))
      case .fetch(let flight, let positions, _): (flight, positions.map(\.value))
      }
    }

    mutating func settle(
      _ sent: (flight: Outbox.FlightID, positions: [Int64])?, _ verdict: Receipt.Verdict,
      call: (Int64) -> UInt64? = { _ in nil },
      asked: Duration? = nil, random: Double = 0.5
    ) {
      guard let sent else { return }
      let entries = sent.positions.map { OutboxTests.entry($0, call: call($0)) }
      outbox.settle(
        sent.flight, entries, Receipt(verdict, "why", retryAfter: asked), at: now, wall: wall, random: random)
    }

    /// What has changed goes to disk.
    mutating func save() {
      guard let settlement = outbox.takeSettlement() else { return }
      progress = settlement.progress
      for row in settlement.put { rows[row.position] = row }
      for position in settlement.dropped { rows[position] = nil }
      outbox.saved(settlement)
    }

    mutating func crash() {
      outbox = Outbox(progress, open: Array(rows.values), limits: limits, at: now, wall: wall)
    }
  }

  @Test func oneOfACallIsInFlightAtATime() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1), Self.entry(3, call: 2))
    let first = bench.next()
    let second = bench.next()
    #expect(first?.positions == [1])
    #expect(second?.positions == [3])
    #expect(bench.next() == nil)
    bench.settle(first, .accepted) { _ in 1 }
    #expect(bench.next()?.positions == [2])
  }

  @Test func whatIsNotWantedAnyMoreIsPassedBy() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1, type: "call.held"), Self.entry(3, call: 1))
    bench.offer(Self.entry(4, call: 2, type: "call.held"), Self.entry(5, call: 2))
    let first = bench.next()
    bench.outbox.reconsider { $0.type != "call.held" }
    #expect(bench.outbox.loadedCount == 2)
    #expect(bench.next()?.positions == [5])
    bench.settle(first, .accepted) { _ in 1 }
    bench.save()
    #expect(bench.progress.checkpoint == Position(2))
    #expect(bench.next()?.positions == [3])
  }

  @Test func aFailedEventHoldsBackItsCallAndNoOther() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1), Self.entry(3, call: 2))
    bench.settle(bench.next(), .kept) { _ in 1 }
    let other = bench.next()
    #expect(other?.positions == [3])
    bench.settle(other, .accepted) { _ in 2 }
    #expect(bench.next() == nil)
    bench.save()
    #expect(bench.progress.checkpoint == Position(3), "what is held does not stop the checkpoint")
    #expect(bench.rows.keys.sorted() == [Position(1), Position(2)])
    bench.wait(6)
    let again = bench.next()
    #expect(again?.positions == [1])
    bench.settle(again, .accepted) { _ in 1 }
    #expect(bench.next()?.positions == [2])
  }

  @Test func whatIsRefusedIsSetAsideAndItsCallGoesOn() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1))
    bench.settle(bench.next(), .refused) { _ in 1 }
    #expect(bench.next()?.positions == [2])
    bench.save()
    #expect(bench.rows[Position(1)]?.state == .aside)
    #expect(bench.progress.setAside == 1)
  }

  @Test func aRefusedBatchIsTakenApart() {
    var bench = Bench { $0.batch = 3 }
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 2), Self.entry(3, call: 3))
    let all = bench.next()
    #expect(all?.positions == [1, 2, 3])
    bench.settle(all, .refused) { UInt64($0) }
    var seen: [[Int64]] = []
    while let one = bench.next() {
      seen.append(one.positions)
      bench.settle(one, one.positions == [2] ? .refused : .accepted) { UInt64($0) }
    }
    #expect(seen.sorted { $0[0] < $1[0] } == [[1], [2], [3]])
    bench.save()
    #expect(bench.rows.values.map(\.position) == [Position(2)])
  }

  /// Events that always fail do not keep a healthy peer from everything else.
  @Test func whatNeverFailedIsTriedInTurnWithWhatDid() {
    var bench = Bench()
    for position in 1...6 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    for _ in 1...Breaker.threshold { bench.settle(bench.next(), .kept) { UInt64($0) } }
    #expect(!bench.outbox.breaker.isClosed)
    var sent: [Int64] = []
    while bench.outbox.breaker.isClosed == false, sent.count < 5 {
      bench.wait(61)
      guard let probe = bench.next() else { continue }
      sent += probe.positions
      bench.settle(probe, probe.positions == [6] ? .accepted : .kept) { UInt64($0) }
    }
    #expect(sent.last == 6 && sent.count <= 3, "\(sent)")
  }

  @Test func aPeerThatAsksForNoPauseGetsOne() {
    var bench = Bench { $0.requests = 1 }
    bench.offer(Self.entry(1, call: 1))
    var sent = 0
    for _ in 0..<600 {
      bench.wait(0.1)
      guard let flight = bench.next() else { continue }
      sent += 1
      bench.settle(flight, .slowDown, call: { _ in 1 }, asked: .zero)
    }
    #expect((3...8).contains(sent), "\(sent) in a minute")
  }

  @Test func aPauseThatIsAskedForIsKeptToTheSecond() {
    var bench = Bench { $0.requests = 8 }
    for position in 1...8 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    for _ in 0..<5 {
      let flights = (0..<8).compactMap { _ in bench.next() }
      #expect(!flights.isEmpty)
      for flight in flights { bench.settle(flight, .slowDown, call: { UInt64($0) }, asked: .seconds(1)) }
      bench.save()
      #expect(bench.next() == nil)
      bench.wait(1.01)
    }
  }

  @Test func otherLimitsDoNotForgetWhatThePeerAskedFor() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 2))
    bench.settle(bench.next(), .slowDown, call: { _ in 1 }, asked: .seconds(3600))
    bench.outbox.change(Outbox.Limits(), rate: nil, at: bench.now)
    bench.wait(3000)
    #expect(bench.next() == nil)
    bench.wait(601)
    #expect(bench.next() != nil)
  }

  @Test func aDeadDestinationIsProbedByOneAndNothingIsGivenUp() {
    var bench = Bench()
    for position in 1...100 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    var attempts = 0
    for _ in 0..<10_000 {
      while let sent = bench.next() {
        attempts += 1
        bench.settle(sent, .kept) { UInt64($0) }
      }
      bench.save()
      bench.wait(60)
    }
    #expect(attempts < 10_100, "after the first few, one each minute")
    #expect(bench.progress.setAside == 0)
    #expect(bench.rows.count < 20)
    var accepted: Set<Int64> = []
    while accepted.count < 100 {
      guard let sent = bench.next() else {
        bench.save()
        bench.wait(60)
        continue
      }
      accepted.formUnion(sent.positions)
      bench.settle(sent, .accepted) { UInt64($0) }
    }
    bench.save()
    #expect(bench.rows.isEmpty)
    #expect(bench.progress.checkpoint == Position(100))
  }

  @Test func anEventThatAloneFailsIsGivenUpAfterTheSchedule() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1))
    var (attempts, position) = (0, Int64(1))
    while bench.rows[Position(1)]?.state != .aside, attempts < 100 {
      position += 1
      bench.offer(Self.entry(position, call: UInt64(position)))
      while let sent = bench.next() {
        attempts += sent.positions == [1] ? 1 : 0
        bench.settle(sent, sent.positions == [1] ? .kept : .accepted) { UInt64($0) }
      }
      bench.save()
      bench.wait(86_400)
    }
    #expect(attempts == 12)
  }

  @Test func tooManyRequestsSlowItDownForAsLongAsItAsked() {
    var bench = Bench()
    for position in 1...20 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    bench.settle(bench.next(), .slowDown, call: { UInt64($0) }, asked: .seconds(30))
    #expect(bench.next() == nil)
    #expect(bench.outbox.wakeAt(bench.now) == bench.now + .seconds(30))
    #expect(bench.outbox.pace.width == 4)
    bench.wait(31)
    #expect(bench.next()?.positions == [1], "the same one first")
  }

  @Test func whatItAskedForHoldsOverACrash() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1))
    bench.settle(bench.next(), .slowDown, call: { UInt64($0) }, asked: .seconds(30))
    bench.save()
    bench.wait(10)
    bench.crash()
    bench.offer(Self.entry(2, call: 2))
    #expect(bench.next() == nil)
    bench.wait(21)
    #expect(bench.next()?.positions == [1], "the same one first")
  }

  @Test(arguments: [(Int64.max, Int64(86_400_000_000_000)), (.min, 0)])
  func aClockThatWasSetKeepsItQuietNoLongerThanItMayAsk(_ until: Int64, _ quiet: Int64) {
    let progress = Progress(checkpoint: .start, quietUntil: Timestamp(microseconds: until))
    let outbox = Outbox(
      progress, open: [], limits: Outbox.Limits(), at: Moment(nanoseconds: 0), wall: Timestamp(microseconds: 0))
    #expect(outbox.pace.quietUntil == Moment(nanoseconds: quiet))
  }

  @Test func aRateIsKept() {
    var bench = Bench()
    bench.outbox.change(bench.limits, rate: 2, at: bench.now)
    for position in 1...20 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    var sent = 0
    for _ in 0..<50 {
      while let one = bench.next() {
        sent += 1
        bench.settle(one, .accepted) { UInt64($0) }
      }
      bench.wait(0.1)
    }
    #expect((10...12).contains(sent), "two a second for five seconds, and what had gathered")
  }

  @Test func notMoreIsInFlightThanMayBeSentTwice() {
    var bench = Bench { ($0.requests, $0.inFlight) = (64, 10) }
    for position in 1...50 { bench.offer(Self.entry(Int64(position), call: UInt64(position))) }
    var count = 0
    while let sent = bench.next() {
      count += 1
      bench.settle(sent, .accepted) { UInt64($0) }
    }
    #expect(count == 10, "accepted, and not on disk yet, is in flight")
    bench.save()
    #expect(bench.next() != nil)
  }

  @Test func whatRetentionTookOfABatchFreesItsCallOnlyWhenTheRestIsBack() {
    var bench = Bench { $0.batch = 3 }
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1), Self.entry(3, call: 1))
    bench.settle(bench.next(), .kept) { _ in 1 }
    bench.save()
    bench.wait(6)
    let again = bench.next()
    #expect(again?.positions == [1, 2, 3])
    guard let again else { return }
    bench.outbox.vanished(again.flight, [Position(1)], at: bench.now)
    #expect(bench.next() == nil, "2 and 3 are on their way already")
    bench.settle((again.flight, [2, 3]), .accepted) { _ in 1 }
    bench.save()
    #expect(bench.rows.isEmpty && bench.outbox.isIdle)
  }

  @Test func aCallWhoseFirstEventVanishedGoesOnWithItsNext() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 1))
    bench.settle(bench.next(), .kept) { _ in 1 }
    bench.wait(6)
    guard let first = bench.next() else { return #expect(Bool(false), "1 is due") }
    bench.outbox.vanished(first.flight, [Position(1)], at: bench.now)
    #expect(bench.next()?.positions == [2])
  }

  @Test func itIsNotAskedAgainBeforeSomethingCanHaveChanged() {
    var bench = Bench { $0.requests = 1 }
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 2), Self.entry(3, call: 3))
    bench.settle(bench.next(), .kept) { UInt64($0) }
    _ = bench.next()
    bench.wait(60)
    #expect(bench.outbox.wakeAt(bench.now) == nil, "the one under way wakes it")
  }

  @Test func oneThatHangsLetsOnlySoMuchPassIt() {
    var bench = Bench { ($0.loaded, $0.inFlight) = (16, 1000) }
    var (position, hanging) = (Int64(0), false)
    for _ in 0..<10_000 {
      while bench.outbox.room > 0, position < 100_000 {
        position += 1
        bench.offer(Self.entry(position, call: UInt64(position)))
      }
      guard let sent = bench.next() else { break }
      if sent.positions == [1], !hanging { hanging = true } else { bench.settle(sent, .accepted) { UInt64($0) } }
      bench.save()
    }
    #expect(bench.progress.ahead.count < 100)
  }

  @Test func resumingForgetsWhatThePeerAskedFor() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1))
    bench.settle(bench.next(), .slowDown, call: { UInt64($0) }, asked: .seconds(80_000))
    #expect(bench.next() == nil)
    bench.outbox.hurry(at: bench.now)
    #expect(bench.next()?.positions == [1])
  }

  @Test func whatWasSettledAheadOfAKillIsSentAgainWhenAskedFor() {
    var bench = Bench()
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 2))
    _ = bench.next()
    bench.settle(bench.next(), .accepted) { _ in 2 }
    bench.save()
    bench.crash()
    bench.outbox.replay(Self.entry(2, call: 2), at: bench.now, wall: bench.wall)
    bench.offer(Self.entry(1, call: 1), Self.entry(2, call: 2))
    #expect(bench.next()?.positions == [1])
    #expect(bench.next()?.positions == [2])
  }

  /// A receiver that fails at random, and an agent that is killed at random, with nothing but its disk to go on from.
  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8], [1, 4])
  func everythingArrivesInOrderWhateverHappens(seed: UInt64, batch: Int) {
    var random = Dice(seed)
    var bench = Bench { ($0.batch, $0.inFlight, $0.loaded) = (batch, 16, 32) }
    let total: Int64 = 600
    let call: (Int64) -> UInt64 = { UInt64($0 * 7919 % 40) }
    var taken: [Int64: Int] = [:]
    var firsts: [UInt64: [Int64]] = [:]
    var unheard = 0
    var (crashes, underWay): (Int, [(flight: Outbox.FlightID, positions: [Int64])]) = (0, [])
    var rounds = 0
    while taken.count < total, rounds < 2_000_000 {
      rounds += 1
      switch random.below(20) {
      case 0..<6:
        let next = bench.outbox.cursor.value + 1
        if next <= total, bench.outbox.room > 0 { bench.offer(Self.entry(next, call: call(next))) }
      case 6..<11: if let sent = bench.next() { underWay.append(sent) }
      case 11..<16 where !underWay.isEmpty:
        let sent = underWay.remove(at: random.below(underWay.count))
        let verdict: Receipt.Verdict = [.accepted, .accepted, .accepted, .kept, .slowDown][random.below(5)]
        // The peer may have taken it although its answer was lost.
        let isUnheard = verdict != .accepted && random.below(4) == 0
        if isUnheard { unheard += sent.positions.count }
        if verdict == .accepted || isUnheard {
          for position in sent.positions {
            if taken[position] == nil { firsts[call(position), default: []].append(position) }
            taken[position, default: 0] += 1
          }
        }
        bench.settle(sent, verdict, call: { call($0) }, asked: .seconds(1), random: Double(random.below(100)) / 100)
      case 16..<18: bench.save()
      case 18: bench.wait(Double(random.below(20)))
      default:
        guard random.below(50) == 0 else { continue }
        crashes += 1
        underWay = []
        bench.crash()
      }
    }
    #expect(Int64(taken.count) == total)
    #expect(crashes > 0)
    let doubled = taken.values.reduce(0) { $0 + $1 - 1 }
    #expect(doubled <= unheard + crashes * bench.limits.inFlight)
    for (_, order) in firsts { #expect(order == order.sorted()) }
    #expect(bench.progress.setAside == 0)
  }
}

/// The same numbers from the same seed (SplitMix64).
struct Dice {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return Int((bits ^ bits >> 31) % UInt64(bound))
  }
}
