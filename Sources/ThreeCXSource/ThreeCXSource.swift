// The link to a 3CX over Call Control: connects, keeps connecting for ever, and fetches what the frames point at. It
// understands nothing of calls; `CallControlSession` and `CallComposer` decide.
//
//   token ─▶ socket ─▶ snapshot ─▶ live ─(close of any kind, silence)─▶ pause with jitter ─▶ token …

package import Basics
internal import CallModel
package import Health
internal import Log
package import Loop
package import Metrics
package import SourceKit
internal import WebSocket

@LoopActor
package final class ThreeCXSource: PBXSource {
  package let name = "3cx"
  package let client: ThreeCXClient
  package internal(set) var isUp = false
  /// What each DN is, as the last snapshot said.
  package internal(set) var kinds: [String: PartyKind] = [:]

  private let config: ThreeCXConfig
  unowned let outlet: any SourceOutlet
  let health: HealthBoard
  var session: CallControlSession
  var composer: CallComposer
  var socket: WebSocketSession?
  var backoff: Backoff
  var attempt = 0
  var isStopped = false
  var lastPing = Moment.now()
  var frames = FrameLog()
  var snapshotFailures = 0
  /// In use while Call Control is not allowed.
  var list: ActiveCallsReader?
  var nextAsking = Moment.now()
  private let frameCount: Metric
  let snapshotCount: Metric
  let fetchCount: Metric

  static let pingPeriod: Duration = .seconds(5)
  static let silence: Duration = .seconds(15)
  /// Where only the list can be read, Call Control is tried again this often.
  private static let refusalPause: Duration = .seconds(30)

  /// Throws where libcurl is missing.
  /// - Parameter epoch: the PBX's run as the journal's open calls have it; empty where it is not known.
  package init(
    _ config: ThreeCXConfig, epoch: String, outlet: any SourceOutlet, health: HealthBoard, metrics: MetricRegistry
  ) throws {
    (self.config, self.outlet, self.health) = (config, outlet, health)
    client = try ThreeCXClient(config)
    session = Self.freshSession(config)
    composer = CallComposer(epoch: epoch.isEmpty ? "1" : epoch)
    // What happens meanwhile is only found by comparison: beside the PBX, little is lost by asking each second.
    backoff = Backoff(cap: config.isBesideUs ? .seconds(1) : .seconds(5), quietSpell: .seconds(3))
    frameCount = metrics.counter("sidetone_threecx_frames_total", "Frames of the 3CX's Call Control socket")
    snapshotCount = metrics.counter("sidetone_threecx_snapshots_total", "Comparisons with all that the 3CX shows")
    fetchCount = metrics.counter("sidetone_threecx_fetches_total", "Participants asked for, one by one")
    client.broker.onContested = { [unowned self] isContested in
      if isContested {
        health.raise(ThreeCXCondition.contested, on: name)
      } else {
        health.clear(ThreeCXCondition.contested, on: name)
      }
    }
  }

  private static func freshSession(_ config: ThreeCXConfig) -> CallControlSession {
    let period = Duration.seconds(config.reconcileSeconds)
    return CallControlSession(livePeriod: period, idlePeriod: .seconds(config.reconcileSeconds * 20))
  }

  // MARK: Life

  package func start() {
    health.setLink(name, .connecting)
    tick()
    connect()
  }

  package func stop() {
    isStopped = true
    socket?.close(1000, "")
  }

  package func reconnect() {
    guard socket != nil else { return }
    ended(ThreeCXCondition.unreachable, "reconnect was asked for")
  }

  package func messages(naming ids: Set<String>) -> [(at: Timestamp, text: String)] { frames.messages(naming: ids) }

  private func connect() {
    guard !isStopped else { return }
    attempt += 1
    let attempt = attempt
    LoopActor.begin { [self] in
      // One attempt; every way out of it leads to the next.
      do throws(ThreeCXFault) {
        let (stream, token) = try await client.connect()
        guard attempt == self.attempt, !isStopped else { return stream.close() }
        open(stream, token, attempt)
      } catch {
        guard attempt == self.attempt else { return }
        ended(ThreeCXCondition.of(error), error.description)
      }
    }
  }

  private func open(_ stream: Stream, _ token: Secret<String>, _ attempt: Int) {
    let host = config.origin.map { $0.port == 443 ? $0.host : "\($0.host):\($0.port)" } ?? ""
    WebSocketClient.open(
      stream, host: host, target: "/callcontrol/ws", headers: [("Authorization", "Bearer \(token.reveal())")]
    ) { [weak self] result in
      guard let self, attempt == self.attempt else { return }
      switch result {
      case .failure(let refusal): refused(refusal, token)
      case .success(let socket): opened(socket, attempt)
      }
    }
  }

  private func refused(_ refusal: WebSocketRefusal, _ token: Secret<String>) {
    let isForbidden = refusal.answer.contains(" 403") || refusal.answer.contains(" 404")
    if refusal.answer.contains(" 401") { client.broker.refused(token) }
    ended(isForbidden ? ThreeCXCondition.noCallControl : ThreeCXCondition.unreachable, refusal.answer)
  }

  private func opened(_ socket: WebSocketSession, _ attempt: Int) {
    (self.socket, snapshotFailures) = (socket, 0)
    lastPing = Moment.now()
    session = Self.freshSession(config)
    socket.receive { [weak self] message in
      guard let self, attempt == self.attempt else { return }
      received(message)
    } onEnd: { [weak self] code, reason in
      guard let self, attempt == self.attempt else { return }
      ended(ThreeCXCondition.unreachable, "the socket closed: \(code) \(reason)")
    }
    // What came with the handshake may have closed it.
    guard attempt == self.attempt else { return }
    perform(session.opened(at: Moment.now()))
  }

  private func received(_ message: WebSocketMessage) {
    let bytes: [UInt8]
    switch message {
    case .text(let text): bytes = text
    case .binary(let text): bytes = text
    case .ping, .pong, .close: return
    }
    frameCount.add()
    if let frame = CallControlFrame(bytes) { perform(session.received(frame, at: Moment.now())) }
  }

  func ended(_ condition: Condition, _ detail: String) {
    attempt += 1
    let old = socket
    socket = nil
    old?.close(1000, "")
    if list == nil {
      for other in ThreeCXCondition.ofLink where other.code != condition.code { health.clear(other, on: name) }
      health.raise(condition, on: name, detail: detail)
    }
    if isUp, list == nil {
      isUp = false
      Log.info("link is down", [.sourceName: name, .errorText: detail])
      outlet.observe([Observation(at: Timestamp.now(), .linkDown(reason: condition.code))])
    }
    if list == nil || isStopped { health.setLink(name, isStopped ? .down : .connecting, code: condition.code) }
    guard !isStopped else { return }
    let pause = backoff.failed(at: Moment.now(), random: Double.random(in: 0..<1))
    if condition.code == ThreeCXCondition.noCallControl.code {
      if list == nil { beginList() }
      LoopActor.loop.after(Self.refusalPause) { [weak self] in self?.connect() }
      return
    }
    let isRefusal = condition.code == ThreeCXCondition.credentials.code
    LoopActor.loop.after(isRefusal ? max(pause, .seconds(5)) : pause) { [weak self] in self?.connect() }
  }

  // MARK: For commands

  /// Calls are read from the XAPI's list, since Call Control is not allowed.
  var isListOnly: Bool { list != nil && isUp }

  /// The normaliser's name for a call of the PBX.
  func group(_ callID: Int) -> String { composer.group(callID) }

  /// We are about to ask the PBX for a call by this extension.
  func expect(callerOn dn: String) { composer.expect(callerOn: dn, until: Moment.now() + .seconds(60)) }

  /// Tells what we are about to do to a call, so that what follows is not taken for somebody's own doing.
  func announce(_ fact: Observation.Fact) { outlet.observe([Observation(at: Timestamp.now(), fact)]) }
}
