// The link to an Asterisk: connects, keeps connecting for ever, and carries commands. It understands nothing of calls.

package import Basics
package import CallModel
internal import Crypto
package import Health
internal import Log
package import Loop
package import Metrics
package import SourceKit

@LoopActor
package final class AsteriskSource: PBXSource {
  package let config: AsteriskSourceConfig
  package let name = "asterisk"

  private unowned let outlet: any SourceOutlet
  private let health: HealthBoard
  private var stream: Stream?
  private var session: AMISession?
  private var backoff: Backoff
  private var waiting: [String: CheckedContinuation<AMIResponse?, Never>] = [:]
  private var isStopped = false
  private var connections = 0
  private let bytesRead: Metric
  private let reconnects: Metric
  /// Recent messages as they came, for `sidetone trace`; bounded, and without the login.
  private var frames = FrameLog()
  package private(set) var isUp = false
  /// Actions that the account was denied, by name.
  package private(set) var denied: Set<String> = []

  package init(_ config: AsteriskSourceConfig, outlet: any SourceOutlet, health: HealthBoard, metrics: MetricRegistry) {
    (self.config, self.outlet, self.health) = (config, outlet, health)
    // What happens while the link is away is not told again: beside the PBX, little is lost by asking each second.
    let isBesideUs = ["127.0.0.1", "::1", "localhost"].contains(config.host)
    backoff = Backoff(cap: .seconds(isBesideUs ? 1 : 15), quietSpell: .seconds(10))
    bytesRead = metrics.counter("sidetone_asterisk_bytes_total", "Bytes read from Asterisk's manager interface")
    reconnects = metrics.counter(
      "sidetone_asterisk_connects_total", "Connections begun to Asterisk's manager interface")
  }

  // MARK: Life

  package func start() {
    health.setLink(name, .connecting)
    tick()
    connect()
  }

  /// Ends the link for good.
  package func stop() {
    isStopped = true
    stream?.close()
  }

  /// Closes the connection and begins anew, with a fresh snapshot.
  package func reconnect() { stream?.close() }

  private func connect() {
    guard !isStopped else { return }
    connections += 1
    reconnects.add()
    do throws(StreamFailure) {
      let stream = try Stream.connect(host: config.host, port: config.port)
      self.stream = stream
      let tag = "sidetone-\(Hex.encode(Random.bytes(3)))"
      session = AMISession(config, tag: tag, at: Moment.now())
      stream.onBytes = { [weak self] bytes in self?.received(bytes) }
      stream.onEnd = { [weak self] end in self?.ended(end.explanation, AsteriskCondition.unreachable) }
    } catch {
      ended(error.description, AsteriskCondition.unreachable)
    }
  }

  private func tick() {
    LoopActor.loop.after(.milliseconds(250)) { [weak self] in
      guard let self, !isStopped else { return }
      if let effects = session?.tick(at: Moment.now(), time: Timestamp.now()) { perform(effects) }
      tick()
    }
  }

  package func messages(naming ids: Set<String>) -> [(at: Timestamp, text: String)] { frames.messages(naming: ids) }

  // MARK: Effects

  private func received(_ bytes: UnsafeRawBufferPointer) {
    bytesRead.add(bytes.count)
    let now = Timestamp.now()
    frames.append(bytes, at: now)
    guard let effects = session?.received(bytes, at: Moment.now(), time: now) else { return }
    perform(effects)
  }

  private func perform(_ effects: [AMISession.Effect]) {
    var observations: [Observation] = []
    for effect in effects {
      switch effect {
      case .send(let bytes): stream?.write(bytes)
      case .observe(let observation): observations.append(observation)
      case .answer(let id, let response): waiting.removeValue(forKey: id)?.resume(returning: response)
      case .up: cameUp()
      case .snapshotDone:
        health.clear(AsteriskCondition.silent, on: name)
        Log.info("link is up", [.sourceName: name])
      case .unanswered: health.raise(AsteriskCondition.unanswered, on: name)
      case .denied(let action): wasDenied(action)
      case .end(let end): close(end)
      }
    }
    if !observations.isEmpty { outlet.observe(observations) }
  }

  private func cameUp() {
    isUp = true
    denied = []
    backoff.succeeded(at: Moment.now())
    health.setLink(name, .up)
    // That it answers shows when it has answered: a login alone may be the last thing that it says.
    for condition in AsteriskCondition.ofLink where condition.code != AsteriskCondition.silent.code {
      health.clear(condition, on: name)
    }
    health.clear(AsteriskCondition.noPermission, on: name)
  }

  private func wasDenied(_ action: String) {
    denied.insert(action)
    health.raise(AsteriskCondition.noPermission, on: name, detail: "denied: \(denied.sorted().joined(separator: ", "))")
  }

  private func close(_ end: AMISession.End) {
    let (condition, detail): (Condition, String) =
      switch end {
      case .refused(let text): (AsteriskCondition.refused, text)
      case .accountInUse: (AsteriskCondition.inUse, "the login is already in use")
      case .notAMI(let text): (AsteriskCondition.notAMI, "it begins with: \(text)")
      case .garbage: (AsteriskCondition.garbage, "a line or message beyond every limit")
      case .silent: (AsteriskCondition.silent, "no answer")
      case .loggedOff: (AsteriskCondition.unreachable, "logged off")
      }
    stream?.onEnd = { _ in }
    stream?.close()
    ended(detail, condition)
  }

  private func ended(_ detail: String, _ condition: Condition) {
    stream = nil
    session = nil
    for other in AsteriskCondition.ofLink where other.code != condition.code { health.clear(other, on: name) }
    health.raise(condition, on: name, detail: detail)
    for waiter in waiting.values { waiter.resume(returning: nil) }
    waiting = [:]
    if isUp {
      isUp = false
      Log.info("link is down", [.sourceName: name, .errorText: detail])
      outlet.observe([Observation(at: Timestamp.now(), .linkDown(reason: condition.code))])
    }
    health.setLink(name, isStopped ? .down : .connecting, code: condition.code)
    guard !isStopped else { return }
    let pause = backoff.failed(at: Moment.now(), random: Double.random(in: 0..<1))
    let patience: Duration = condition.code == AsteriskCondition.refused.code ? .seconds(2) : .zero
    LoopActor.loop.after(max(pause, patience)) { [weak self] in self?.connect() }
  }

  // MARK: Commands

  /// What became of an action. One that was sent and not answered may still be carried out.
  package enum Outcome: Sendable {
    case answered(AMIResponse)
    case notSent
    case noAnswer
  }

  /// Performs an action; waits at most 10 s for its answer.
  /// - Parameter isList: the answer comes with items.
  package func perform(_ action: AMIAction, isList: Bool = false) async -> Outcome {
    guard isUp, let (id, effects) = session?.perform(action, isList: isList) else { return .notSent }
    let response: AMIResponse? = await withCheckedContinuation { continuation in
      waiting[id] = continuation
      LoopActor.loop.after(.seconds(10)) { [weak self] in self?.waiting.removeValue(forKey: id)?.resume(returning: nil)
      }
      perform(effects)
    }
    return response.map { .answered($0) } ?? .noAnswer
  }

  /// Tells what we are about to do to a call, so that what follows is not taken for somebody's own doing.
  package func announce(_ fact: Observation.Fact) { outlet.observe([Observation(at: Timestamp.now(), fact)]) }

  /// Hangs up a channel that waits in our hold context and that nobody will come back for.
  package func release(_ stranded: ChannelFacts) {
    guard stranded.context == config.holdContext else { return }
    LoopActor.begin { [self] in
      // One bounded question; a channel that is gone already is as good.
      _ = await perform(AMIAction("Hangup", [("Channel", stranded.name), ("Cause", "16")]))
    }
  }

  /// Asks what runs on a channel; the answer comes as an observation.
  package func probe(_ channel: String) {
    guard isUp, let effects = session?.probe(channel: channel) else { return }
    perform(effects)
  }
}
