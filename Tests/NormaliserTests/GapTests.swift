import AsteriskSource
import Basics
import CallModel
import Normaliser
import TestSupport
import Testing

/// The link is lost at any message, some messages are never seen, and the snapshot after it tells what stands.
@Suite struct GapTests {
  @Test(arguments: ["blind-transfer-ami", "queue-ring-no-answer-second-agent"])
  func aGapAnywhereLeavesEveryCallWithExactlyOneEnd(name: String) throws {
    let observations = try Fixtures.recording(name).observations().filter {
      !$0.fact.isOfSnapshot && $0.fact != .snapshotEnded
    }
    for cut in observations.indices {
      for lost in 0...20 {
        let resumed = min(cut + lost, observations.count)
        let told = play(observations, lostFrom: cut, until: resumed)
        for story in Truth.stories(told) {
          let ends = story.events.count { $0.kind == .ended }
          #expect(ends == 1, "\(name): cut at \(cut), \(lost) lost: \(ends) ends")
        }
        #expect(Set(told.map(\.id)).count == told.count, "\(name): cut at \(cut), \(lost) lost: an id twice")
      }
    }
  }

  private func play(_ observations: [Observation], lostFrom cut: Int, until resumed: Int) -> [CallEvent] {
    var board = Switchboard(source: "test")
    var pbx = ChannelTable()
    var told: [CallEvent] = []
    for observation in observations[..<cut] {
      pbx.follow(observation.fact)
      told += board.apply(observation)
    }
    let at = observations[min(cut, observations.count - 1)].at
    told += board.apply(Observation(at: at, .linkDown(reason: "cut")))
    for observation in observations[cut..<resumed] { pbx.follow(observation.fact) }
    let back = observations[min(resumed, observations.count - 1)].at
    for fact in [.linkUp(epoch: nil), .snapshotBegan] + pbx.snapshot + [.snapshotEnded] {
      told += board.apply(Observation(at: back, fact))
    }
    for observation in observations[resumed...] { told += board.apply(observation) }
    return told + board.close(at: Timestamp(seconds: 1_900_000_000), reason: "end")
  }
}

/// What CoreShowChannels, BridgeList, QueueStatus and ParkedCalls would answer, kept from the events alone.
struct ChannelTable {
  private var channels: [String: (facts: ChannelFacts, bridge: String?)] = [:]
  private var bridges: [String: BridgeFacts] = [:]
  private var queued: [String: String] = [:]

  mutating func follow(_ fact: Observation.Fact) {
    switch fact {
    case .channel(let facts), .connectedLine(let facts), .application(let facts, _, _), .hangupRequested(let facts, _):
      see(facts)
    case .dialBegan(let from, let to, _):
      if let from { see(from) }
      see(to)
    case .dialEnded(let from, let to, _, _):
      if let from { see(from) }
      see(to)
    case .bridgeEntered(let facts, let bridge):
      see(facts)
      bridges[bridge.id] = bridge
      channels[facts.id]?.bridge = bridge.id
    case .bridgeLeft(let facts, _):
      see(facts)
      channels[facts.id]?.bridge = nil
    case .queueJoined(let facts, let queue, _): queued[facts.id] = queue
    case .queueLeft(let facts, _): queued[facts.id] = nil
    case .hungUp(let facts, _):
      channels[facts.id] = nil
      queued[facts.id] = nil
    default: break
    }
  }

  private mutating func see(_ facts: ChannelFacts) { channels[facts.id] = (facts, channels[facts.id]?.bridge) }

  var snapshot: [Observation.Fact] {
    let listed = channels.values.sorted { $0.facts.id < $1.facts.id }
    return listed.map { .snapshotChannel($0.facts, dialled: "", application: "Dial", data: "", bridge: $0.bridge) }
      + bridges.values.sorted { $0.id < $1.id }.map { .snapshotBridge($0) }
      + queued.sorted { $0.key < $1.key }.map { .snapshotQueued(channel: $0.key, queue: $0.value, position: nil) }
  }
}
