import Basics
import CallModel
import JSON
import Loop
import Normaliser
import Simulator
import ThreeCXSource

/// A world, a session, a composer and a switchboard joined without sockets, in a time that only passes when told.
@LoopActor
final class Floor {
  let world: ThreeCXWorld
  private var session: CallControlSession
  private var composer = CallComposer(epoch: "1")
  private(set) var board = Switchboard(source: "sidetone://test/3cx")
  private(set) var events: [CallEvent] = []
  private(set) var snapshots = 0
  private var time = 0.0
  private var queue: [(at: Double, order: Int, body: @LoopActor () -> Void)] = []
  private var order = 0
  private var random = SeededRandom(seed: 7)
  private var connection = 0
  private var isConnected = false
  /// Seconds that an answer takes, at most.
  var answerTime = 0.05

  init(world: ThreeCXWorld = ThreeCXWorld(), period: Double = 15) {
    self.world = world
    session = CallControlSession(livePeriod: .seconds(period), idlePeriod: .seconds(300))
    world.onFrame = { [unowned self] bytes in
      guard isConnected else { return }
      let connection = connection
      after(0.001) { [unowned self] in if connection == self.connection { frame(bytes) } }
    }
  }

  private var moment: Moment { Moment(nanoseconds: Int64(time * 1e9)) }
  private var stamp: Timestamp { Timestamp(microseconds: 1_800_000_000_000_000 + Int64(time * 1e6)) }

  // MARK: Time

  func after(_ seconds: Double, _ body: @escaping @LoopActor () -> Void) {
    order += 1
    let entry = (at: time + seconds, order: order, body: body)
    let index = queue.firstIndex { ($0.at, $0.order) > (entry.at, entry.order) } ?? queue.count
    queue.insert(entry, at: index)
  }

  /// Lets time pass, with the ticks of a shell.
  func run(for seconds: Double) {
    let end = time + seconds
    while time < end {
      let next = min(end, (time / 0.25).rounded(.down) * 0.25 + 0.25)
      while let first = queue.first, first.at <= next {
        queue.removeFirst()
        time = max(time, first.at)
        first.body()
      }
      time = next
      guard isConnected else { continue }
      perform(session.tick(at: moment))
      observe(composer.tick(time: stamp, at: moment))
    }
  }

  // MARK: The link

  func connect() {
    connection += 1
    isConnected = true
    session = CallControlSession(livePeriod: .seconds(15), idlePeriod: .seconds(300))
    world.startCounting()
    observe([Observation(at: stamp, .linkUp(epoch: nil))])
    perform(session.opened(at: moment))
  }

  func cut() {
    connection += 1
    isConnected = false
    observe([Observation(at: stamp, .linkDown(reason: "test"))])
  }

  private func frame(_ bytes: [UInt8]) {
    guard let frame = CallControlFrame(bytes) else { return }
    perform(session.received(frame, at: moment))
  }

  private func perform(_ effects: [CallControlSession.Effect]) {
    for effect in effects {
      switch effect {
      case .fetch(let key): fetch(key)
      case .takeSnapshot: takeSnapshot()
      case .changed(let part): observe(composer.changed(part, time: stamp, at: moment))
      case .gone(let key): observe(composer.gone(key, time: stamp, at: moment))
      case .floor(let parts, let isFirst):
        let kinds = world.kinds.mapValues { PartyKind($0) }
        observe(composer.floor(parts, kinds: kinds, isFirst: isFirst, time: stamp, at: moment))
      }
    }
  }

  /// The answer is what is there at some moment on the way.
  private func fetch(_ key: Participant.Key) {
    let (there, back) = (random.seconds(0...answerTime), random.seconds(0...answerTime))
    let connection = connection
    after(there) { [unowned self] in
      let found = world.parts[key.id].flatMap { part in
        part.dn == key.dn ? (try? JSONValue(parsing: world.json(part))).flatMap { Participant($0, dn: key.dn) } : nil
      }
      after(back) { [unowned self] in
        guard connection == self.connection else { return }
        perform(session.fetched(key, found.map { .found($0) } ?? .notThere, at: moment))
      }
    }
  }

  private func takeSnapshot() {
    snapshots += 1
    let connection = connection
    after(random.seconds(0...answerTime)) { [unowned self] in
      let states = DNState.list(world.snapshot())
      after(random.seconds(0...answerTime)) { [unowned self] in
        guard connection == self.connection else { return }
        perform(session.snapshot(states, at: moment))
      }
    }
  }

  private func observe(_ observations: [Observation]) {
    for observation in observations { events += board.apply(observation) }
  }

  // MARK: What was told

  /// Type, from, to, answered by, queue, disposition: what must be alike on every PBX.
  nonisolated static func line(_ event: CallEvent) -> String {
    let call = event.call
    let party: String =
      switch event.kind {
      case .legRinging(let leg), .legAnswered(let leg):
        " \(leg.party.kind.rawValue):\(leg.party.id) \(leg.role.rawValue)"
      case .legEnded(let leg, let reason): " \(leg.party.kind.rawValue):\(leg.party.id) \(reason)"
      case .transferred(let kind, let from, let to): " \(kind.rawValue) \(from?.id ?? "-")>\(to?.id ?? "-")"
      case .dequeued(_, _, let reason): " \(reason)"
      default: ""
      }
    let answerer = call?.answeredBy.map { "\($0.kind.rawValue):\($0.id)" } ?? "-"
    return
      "\(event.kind.type)\(party) [\(call?.from?.raw ?? "-") \(call?.to?.raw ?? "-") \(answerer) \(call?.queue ?? "-") \(call?.disposition?.rawValue ?? "-")]\(event.isInferred ? " inferred" : "")"
  }
}
