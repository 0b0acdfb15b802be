// A client on /relay/ws: events by position, pings, and an end with a reason it can resume from.

internal import Basics
internal import CallModel
internal import HTTP
internal import Hub
internal import JSON
internal import Loop
internal import WebSocket

@LoopActor
final class RelaySocket {
  /// Whose credential opened it, and until when that holds.
  let owners: Set<UUID>
  private let validUntil: Timestamp?
  private let session: WebSocketSession
  private let dialect: Dialect
  private let config: RelayConfig
  private var feed: Feed?
  private var lastPing = Moment.now()
  /// Positions of the frames that wait in the queue, oldest first: what a resume must begin after.
  private var waiting: [Position] = []
  private var delivered: Position
  var onEnd: @LoopActor (_ code: UInt16, _ reason: String) -> Void = { _, _ in }

  init(_ session: WebSocketSession, caller: Caller?, dialect: Dialect, config: RelayConfig, after: Position) {
    owners = Set([caller?.id, caller?.sessionID].compactMap(\.self))
    validUntil = caller?.validUntil
    (self.session, self.dialect, self.config, delivered) = (session, dialect, config, after)
    session.queueLimit = config.clientQueueBytes + 65_536
    session.onDrained = { [unowned self] in drained() }
  }

  /// Begins to tell and to listen. The owner has taken the socket before: what the client glued to its handshake may
  /// end it at once.
  func start(_ hub: Hub, tenant: TenantID) {
    let feed = Feed(after: delivered, of: tenant, hub: hub, sink: self, queueLimit: config.clientQueueBytes)
    self.feed = feed
    feed.start()
    // Unowned, since weak references would slow every delivery by a side table; taken back when the session ends.
    session.receive(onEnd: { [unowned self] code, reason in
      session.onDrained = {}
      feed.stop()
      onEnd(code, reason)
    })
  }

  private func drained() {
    if let last = waiting.last { delivered = last }
    waiting.removeAll(keepingCapacity: waiting.capacity <= 1024)
    feed?.drained()
  }

  /// Called by the server's sweep.
  func keepAlive(at now: Moment) {
    if let validUntil, validUntil < Timestamp.now() { return session.close(1008, "the credential has expired") }
    if now - session.lastHeard > .seconds(config.idleSeconds) { return session.close(1000, "idle") }
    guard now - max(session.lastHeard, lastPing) > .seconds(config.pingEverySeconds) else { return }
    lastPing = now
    session.send(.ping, [])
  }

  func close(_ code: UInt16, _ reason: String) { session.close(code, reason) }

  /// Frames that did not leave are dropped to make room for the reason; the journal still has them.
  private func closeTooSlow() {
    feed?.stop()
    let dropped = session.dropUnsent()
    let lastSent = waiting.dropLast(min(dropped, waiting.count)).last ?? delivered
    session.close(4008, "resume after=\(lastSent)", patience: .seconds(30))
  }
}

extension RelaySocket: FeedSink {
  var queuedBytes: Int { session.queuedBytes }

  func send(_ entry: RenderedEntry, isAlone: Bool) {
    let frame = entry.frame(dialect == .relay ? .relaySocket : .nativeSocket) { [dialect] entry in
      WebSocketEncoder.frame(.text, dialect.render(entry))
    }
    let room = config.clientQueueBytes - frame.count
    // What waits for nothing but the turn's end is nobody's slowness.
    if session.queuedBytes > room { session.flush() }
    if session.queuedBytes > room { return closeTooSlow() }
    if isAlone, session.sendAtOnce(frame) {
      delivered = entry.entry.position
      return
    }
    waiting.append(entry.entry.position)
    if !isAlone { session.send(frame) }
  }

  func historyLost(after: Position, oldest: Position) {
    var json = JSONWriter()
    json.object { json in
      json.field("type", "history_lost")
      json.field("after", after.value)
      json.field("oldest", oldest.value)
    }
    session.send(.text, json.bytes)
    delivered = Position(oldest.value - 1)
  }

  func failed() { session.close(1011, "the journal cannot be read; resume after=\(delivered)") }
}
