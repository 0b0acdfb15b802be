// A client on /relay/events that asked for Server-Sent Events: the position is the event id, so that a browser's own
// reconnect resumes.

internal import Basics
internal import CallModel
internal import HTTP
internal import Hub
internal import Loop

@LoopActor
final class RelayEventStream {
  static let head = Array(
    """
    HTTP/1.1 200 OK\r
    Content-Type: text/event-stream\r
    Cache-Control: no-store\r
    X-Accel-Buffering: no\r
    X-Content-Type-Options: nosniff\r
    Connection: close\r
    \r
    retry: 1000\n\n
    """.utf8)

  /// Whose credential opened it, and until when that holds.
  let owners: Set<UUID>
  private let validUntil: Timestamp?
  var onEnd: @LoopActor () -> Void = {}
  private let stream: Stream
  private let config: RelayConfig
  private var feed: Feed?
  private var lastWrite = Moment.now()

  init(_ stream: Stream, caller: Caller?, config: RelayConfig) {
    owners = Set([caller?.id, caller?.sessionID].compactMap(\.self))
    validUntil = caller?.validUntil
    (self.stream, self.config) = (stream, config)
    stream.queueLimit = config.clientQueueBytes
    stream.onEnd = { [self] _ in
      feed?.stop()
      onEnd()
    }
    stream.onDrained = { [unowned self] in feed?.drained() }
  }

  func start(_ hub: Hub, tenant: TenantID, after: Position) {
    let feed = Feed(after: after, of: tenant, hub: hub, sink: self, queueLimit: config.clientQueueBytes)
    self.feed = feed
    feed.start()
  }

  func keepAlive(at now: Moment) {
    if let validUntil, validUntil < Timestamp.now() { return close() }
    guard now - lastWrite > .seconds(config.pingEverySeconds), stream.queuedBytes == 0 else { return }
    lastWrite = now
    stream.write(Array(": still here\n\n".utf8))
  }

  func close() { stream.closeAfterDrain() }
}

extension RelayEventStream: FeedSink {
  var queuedBytes: Int { stream.queuedBytes }

  func send(_ entry: RenderedEntry, isAlone: Bool) {
    lastWrite = Moment.now()
    stream.write(
      entry.frame(.nativeStream) { entry in
        Array("id: \(entry.position)\ndata: ".utf8) + Dialect.native.render(entry) + [10, 10]
      })
  }

  func historyLost(after: Position, oldest: Position) {
    stream.write(Array("event: history_lost\ndata: {\"after\":\(after),\"oldest\":\(oldest)}\n\n".utf8))
  }

  func failed() { stream.closeAfterDrain() }
}
