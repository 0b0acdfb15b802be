// Calls as a 3CX shows them through its participants: the steps of each, with the time before every step.

package import Loop

@LoopActor
package struct ThreeCXStory {
  package typealias Step = (wait: Double, act: @LoopActor () -> Void)

  package let name: String
  package let steps: @LoopActor (ThreeCXWorld, Cast) -> [Step]

  /// Who plays: extensions, an outside number, a trunk and a queue.
  package struct Cast: Sendable {
    package var one = "101"
    package var two = "102"
    package var three = "103"
    package var outside = "+15550100"
    package var trunk = "10000"
    package var queue = "800"
    /// Of the queue; the second answers.
    package var agents = ["101", "102", "103"]
    package var did = ""
    package init() {}
  }

  package static let all = [
    internalCall, inboundCall, outboundCall, queueCall, abandoned, noAnswer, cancelled, voicemail, forwarded,
    blindTransfer, blindTransferInside, attendedTransfer, attendedTransferInside,
  ]

  package static let internalCall = ThreeCXStory(name: "internal") { world, cast in
    var (call, one, two) = (0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (1.0, { world.connect(two, one) }),
      (2.0, { world.remove(two, one) }),
    ]
  }

  package static let inboundCall = ThreeCXStory(name: "inbound") { world, cast in
    var one = 0
    return [
      (0, { one = ring(world, cast.one, world.newCall(), outside: cast) }),
      (1.0, { world.connect(one) }),
      (2.0, { world.remove(one) }),
    ]
  }

  package static let outboundCall = ThreeCXStory(name: "outbound") { world, cast in
    var one = 0
    return [
      (
        0,
        {
          one = world.add(
            cast.one, "Dialing", in: world.newCall(), with: cast.trunk, "Wexternalline", number: cast.outside)
        }
      ),
      (1.5, { world.connect(one) }),
      (2.0, { world.remove(one) }),
    ]
  }

  package static let queueCall = ThreeCXStory(name: "queue") { world, cast in
    var (call, waiting, agents) = (0, 0, [Int]())
    return [
      (0, { (call, waiting) = wait(world, cast) }),
      (
        0.5,
        { agents = cast.agents.map { ring(world, $0, call, outside: cast, for: cast.queue) } }
      ),
      (2.0, { world.connect(agents[1]) }),
      (
        0.01,
        {
          for agent in agents where agent != agents[1] { world.remove(agent) }
          world.remove(waiting)
        }
      ),
      (2.0, { world.remove(agents[1]) }),
    ]
  }

  package static let abandoned = ThreeCXStory(name: "abandoned") { world, cast in
    var (call, waiting, agents) = (0, 0, [Int]())
    return [
      (0, { (call, waiting) = wait(world, cast) }),
      (0.5, { agents = cast.agents.prefix(2).map { ring(world, $0, call, outside: cast, for: cast.queue) } }),
      (2.0, { world.remove(waiting, agents[0], agents[1]) }),
    ]
  }

  package static let noAnswer = ThreeCXStory(name: "no-answer") { world, cast in
    var (call, one, two) = (0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (3.0, { world.remove(two) }),
      (1.0, { world.remove(one) }),
    ]
  }

  package static let cancelled = ThreeCXStory(name: "cancelled") { world, cast in
    var (call, one, two) = (0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (2.0, { world.remove(one, two) }),
    ]
  }

  package static let voicemail = ThreeCXStory(name: "voicemail") { world, cast in
    var (call, one, two) = (0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (3.0, { world.remove(two) }),
      (
        0.05,
        {
          world.change(one) { part in
            (part.status, part.partyDN, part.partyKind, part.onBehalfOf) = ("Connected", "999", "Wvoicemail", cast.two)
          }
        }
      ),
      (3.0, { world.remove(one) }),
    ]
  }

  package static let forwarded = ThreeCXStory(name: "forward") { world, cast in
    var (call, one, two, three) = (0, 0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (1.0, { three = ring(world, cast.three, call, from: cast.one) { $0.onBehalfOf = cast.two } }),
      (0.01, { world.remove(two) }),
      (1.0, { world.connect(three, one) }),
      (2.0, { world.remove(three, one) }),
    ]
  }

  package static let blindTransfer = ThreeCXStory(name: "blind-transfer") { world, cast in
    var (call, one, two) = (0, 0, 0)
    return [
      (
        0,
        {
          call = world.newCall()
          one = ring(world, cast.one, call, outside: cast)
        }
      ),
      (1.0, { world.connect(one) }),
      (1.0, { two = ring(world, cast.two, call, outside: cast) { $0.referredBy = cast.one } }),
      (0.05, { world.remove(one) }),
      (1.0, { world.connect(two) }),
      (2.0, { world.remove(two) }),
    ]
  }

  package static let blindTransferInside = ThreeCXStory(name: "blind-transfer-internal") { world, cast in
    var (call, one, two, three) = (0, 0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (1.0, { world.connect(two, one) }),
      (
        1.0,
        {
          world.remove(two)
          three = ring(world, cast.three, call, from: cast.one) { $0.referredBy = cast.two }
          world.change(one) { ($0.status, $0.partyDN, $0.partyNumber) = ("Dialing", cast.three, cast.three) }
        }
      ),
      (1.0, { world.connect(three, one) }),
      (2.0, { world.remove(three, one) }),
    ]
  }

  package static let attendedTransferInside = ThreeCXStory(name: "attended-transfer-internal") { world, cast in
    var (call, consultation, one, two, asking, three) = (0, 0, 0, 0, 0, 0)
    return [
      (0, { (call, one) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, call, from: cast.one) }),
      (1.0, { world.connect(two, one) }),
      (1.0, { (consultation, asking) = dial(world, cast.two, cast.three) }),
      (0.1, { three = ring(world, cast.three, consultation, from: cast.two) }),
      (1.0, { world.connect(three, asking) }),
      (
        1.0,
        {
          world.change(three) { ($0.callID, $0.partyDN, $0.partyNumber) = (call, cast.one, cast.one) }
          world.change(one) { ($0.partyDN, $0.partyNumber) = (cast.three, cast.three) }
          world.remove(two, asking)
        }
      ),
      (2.0, { world.remove(three, one) }),
    ]
  }

  package static let attendedTransfer = ThreeCXStory(name: "attended-transfer") { world, cast in
    var (call, consultation, one, asking, two) = (0, 0, 0, 0, 0)
    return [
      (
        0,
        {
          call = world.newCall()
          one = ring(world, cast.one, call, outside: cast)
        }
      ),
      (1.0, { world.connect(one) }),
      (1.0, { (consultation, asking) = dial(world, cast.one, cast.two) }),
      (0.1, { two = ring(world, cast.two, consultation, from: cast.one) }),
      (1.0, { world.connect(two, asking) }),
      (
        1.0,
        {
          world.change(two) { part in
            (part.callID, part.partyDN, part.partyKind, part.partyNumber) = (
              call, cast.trunk, "Wexternalline", cast.outside
            )
          }
          world.remove(one, asking)
        }
      ),
      (2.0, { world.remove(two) }),
    ]
  }

  // MARK: Steps that many share

  private static func dial(_ world: ThreeCXWorld, _ from: String, _ to: String) -> (call: Int, part: Int) {
    let call = world.newCall()
    return (call, world.add(from, "Dialing", in: call, with: to, "Wextension"))
  }

  private static func ring(
    _ world: ThreeCXWorld, _ dn: String, _ call: Int, from: String,
    _ fill: (inout ThreeCXWorld.Part) -> Void = { _ in }
  ) -> Int { world.add(dn, "Ringing", in: call, with: from, "Wextension", fill) }

  private static func ring(
    _ world: ThreeCXWorld, _ dn: String, _ call: Int, outside cast: Cast, for queue: String = "",
    _ fill: (inout ThreeCXWorld.Part) -> Void = { _ in }
  ) -> Int {
    world.add(dn, "Ringing", in: call, with: cast.trunk, "Wexternalline", number: cast.outside) { part in
      (part.originatedBy, part.originatedByKind, part.onBehalfOf) = ("ROUTER", "Wroutepoint", queue)
      part.did = cast.did
      fill(&part)
    }
  }

  private static func wait(_ world: ThreeCXWorld, _ cast: Cast) -> (call: Int, part: Int) {
    let call = world.newCall()
    return (
      call,
      world.add(cast.queue, "Connected", in: call, with: cast.trunk, "Wexternalline", number: cast.outside) {
        $0.did = cast.did
      }
    )
  }

  /// Plays the steps one after the other.
  package func play(
    in world: ThreeCXWorld, _ cast: Cast = Cast(), pace: Double = 1,
    after: @escaping @LoopActor (Double, @escaping @LoopActor () -> Void) -> Void,
    onEnd: @escaping @LoopActor () -> Void
  ) { Self.play(steps(world, cast)[...], pace, after, onEnd) }

  private static func play(
    _ steps: ArraySlice<Step>, _ pace: Double,
    _ after: @escaping @LoopActor (Double, @escaping @LoopActor () -> Void) -> Void,
    _ onEnd: @escaping @LoopActor () -> Void
  ) {
    guard let step = steps.first else { return onEnd() }
    after(step.wait * pace) {
      step.act()
      play(steps.dropFirst(), pace, after, onEnd)
    }
  }
}
