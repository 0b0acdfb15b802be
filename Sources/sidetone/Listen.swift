// sidetone listen: events to an address of the developer's own, signed as a destination's would be.

internal import Agent
internal import Basics
internal import CallModel
internal import Crypto
internal import HTTPClient
internal import JSON
internal import Loop
internal import SinkKit
internal import WebSocket
internal import WebhookSink

extension Sidetone {
  static let listen = Command(
    name: "listen", summary: "forward events, live or from a position, to an address while you develop",
    usage: "listen --to URL [--after POSITION] [--types A,B] [--secret-file FILE] [--config FILE]",
    options: [.value("to"), .value("after"), .value("types"), .value("secret-file"), .value("config")],
    takesOperands: false
  ) { arguments in
    guard let url = arguments["to"] else { throw UsageError(description: "--to is missing") }
    let forwarder = try Forwarder(url, secret: try signingKey(arguments))
    let types = arguments["types"]?.split(separator: ",").map { String($0).trimmed } ?? []
    forwarder.filter = EventFilter(types: types)
    let client = ControlClient(try AgentConfig.load(arguments))
    var after = arguments["after"]
    if let text = after, Int64(text) == nil { throw UsageError(description: "--after needs a position") }
    // Each round is one connection; it ends when more waits than may, and the next begins where this one came to.
    while true {
      let target = "/relay/ws" + (after.map { "?after=\($0)" } ?? "")
      let code = await forwarder.follow(try await client.webSocket(target, protocols: ["cloudevents.json"]))
      if code == 1000 { return Exit.ok }
      if code != Forwarder.tooMany, code != 4008 {
        Files.print("the agent ended the feed: \(code)", to: 2)
        return code == 1001 ? Exit.ok : Exit.unreachable
      }
      after = forwarder.last.map { String($0) }
    }
  }

  private static func signingKey(_ arguments: Arguments) throws -> StandardWebhooks.Key {
    if let path = arguments["secret-file"] {
      let text = Secret(String(decoding: try Files.read(path, limit: 4096), as: UTF8.self).trimmed)
      guard let key = StandardWebhooks.key(text) else {
        throw UsageError(description: "\(path): expected whsec_ and base64")
      }
      return key
    }
    let key = Secret(Random.bytes(32))
    Files.print("signed with \(StandardWebhooks.text(key).reveal())", to: 2)
    return key
  }
}

/// Posts one event after the other, and says what came back.
@LoopActor
final class Forwarder {
  /// A close code of our own: more waits than is kept.
  static let tooMany = 4900
  private static let queueLimit = 1000

  var filter = EventFilter()
  private(set) var last: Int64?
  private let url: String
  private let key: StandardWebhooks.Key
  private let client: HTTPClient
  private var queue: [[UInt8]] = []
  private var isSending = false
  private var onIdle: () -> Void = {}

  init(_ url: String, secret: StandardWebhooks.Key) throws {
    (self.url, key, client) = (url, secret, try HTTPClient())
  }

  /// Until the feed ends and what came of it is forwarded; gives the feed's close code.
  func follow(_ session: WebSocketSession) async -> Int {
    let signals = Signals([2, 15]) { [self] _ in
      queue = []
      session.close(1000, "goodbye")
    }
    var isFull = false
    let code: Int = await withCheckedContinuation { continuation in
      session.receive { [self] message in
        guard case .text(let bytes) = message, !isFull else { return }
        queue.append(bytes)
        isFull = queue.count >= Self.queueLimit
        if isFull { session.close(1000, "later") }
        sendNext()
      } onEnd: { code, _ in
        continuation.resume(returning: Int(code))
      }
    }
    if isSending || !queue.isEmpty { await withCheckedContinuation { idle in onIdle = { idle.resume() } } }
    onIdle = {}
    _ = signals
    return isFull ? Self.tooMany : code
  }

  private func sendNext() {
    guard !isSending, !queue.isEmpty else { return }
    let event = queue.removeFirst()
    isSending = true
    // One request with its time limit; the next begins when it ends.
    LoopActor.begin { [self] in
      await forward(event)
      isSending = false
      if queue.isEmpty { onIdle() } else { sendNext() }
    }
  }

  private func forward(_ event: [UInt8]) async {
    guard let json = try? JSONValue(parsing: event), let id = json["id"]?.string, let type = json["type"]?.string
    else { return }
    last = json["sequence"]?.string.flatMap { Int64($0) } ?? last
    guard filter.matches(type: type) else { return }
    let time = Timestamp.now().milliseconds / 1000
    var request = ClientRequest("POST", url)
    request.headers = [
      ("Content-Type", "application/cloudevents+json"), ("webhook-id", id), ("webhook-timestamp", String(time)),
      ("webhook-signature", StandardWebhooks.sign(id: id, timestamp: time, body: event, keys: [key])),
    ]
    (request.body, request.bodyLimit, request.isBodyCut) = (event, 4096, true)
    let begun = Moment.now()
    do throws(ClientFailure) {
      let answer = try await client.send(request)
      Files.print("\(answer.status)  \(Int((Moment.now() - begun).seconds * 1000)) ms  \(EventPrinter.line(json))")
    } catch {
      Files.print("–    \(error)  \(EventPrinter.line(json))")
    }
  }
}
