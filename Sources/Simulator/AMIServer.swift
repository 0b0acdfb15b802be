// The manager interface of a simulated PBX: sessions that log in, ask, act and listen, as at a real one.

package import Basics
internal import Crypto
package import Loop

@LoopActor
package final class AMIServer {
  package struct Account: Sendable {
    package var username: String
    package var secret: Secret<String>
    package init(username: String, secret: Secret<String>) { (self.username, self.secret) = (username, secret) }
  }

  package let account: Account
  package let pbx: SimulatedPBX
  package private(set) var port = 0
  /// Answers that take precedence over the simulated PBX's own.
  package var recorded = RecordedAnswers()
  /// Called when a session has logged in and may be sent events.
  package var onLogin: @LoopActor (AMIServerSession) -> Void = { _ in }
  private var listener: Listener?
  private(set) var sessions: [ObjectIdentifier: AMIServerSession] = [:]

  package init(_ account: Account, pbx: SimulatedPBX) {
    (self.account, self.pbx) = (account, pbx)
    pbx.onEvent = { [unowned self] eventClass, lines in broadcast(eventClass, lines) }
  }

  package func listen(at place: Listener.Place) throws(StreamFailure) {
    let listener = try Listener(at: place) { [weak self] stream in
      guard let self else { return stream.close() }
      let session = AMIServerSession(stream, server: self)
      sessions[ObjectIdentifier(session)] = session
    }
    self.listener = listener
    port = listener.port
  }

  /// Refuses new connections and closes those there are: a PBX that goes away.
  package func stop() {
    listener?.close()
    listener = nil
    for session in sessions.values { session.close() }
  }

  package var loggedInCount: Int { sessions.values.count { $0.isLoggedIn } }

  func forget(_ session: AMIServerSession) { sessions[ObjectIdentifier(session)] = nil }

  private func broadcast(_ eventClass: String, _ lines: [(String, String)]) {
    let chunk = Chunk(AMIServerSession.message(lines))
    for session in sessions.values where session.wants(eventClass) { session.send(chunk) }
  }
}

@LoopActor
package final class AMIServerSession {
  package private(set) var isLoggedIn = false
  private let stream: Stream
  private unowned let server: AMIServer
  private var received: [UInt8] = []
  private var challenge: String?
  private var mask: Set<String>?

  init(_ stream: Stream, server: AMIServer) {
    (self.stream, self.server) = (stream, server)
    stream.queueLimit = 64 << 20
    stream.onBytes = { [weak self] bytes in self?.read(bytes) }
    stream.onEnd = { [self] _ in server.forget(self) }
    stream.write(Array("Asterisk Call Manager/11.0.0\r\n".utf8))
  }

  func wants(_ eventClass: String) -> Bool { isLoggedIn && (mask?.contains(eventClass) ?? true) }

  package func send(_ chunk: Chunk) { stream.write(chunk) }
  package func close() { stream.closeAfterDrain() }

  static func message(_ lines: [(String, String)]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (key, value) in lines {
      bytes.append(contentsOf: key.utf8)
      bytes.append(contentsOf: [58, 32])
      bytes.append(contentsOf: value.utf8)
      bytes.append(contentsOf: [13, 10])
    }
    bytes.append(contentsOf: [13, 10])
    return bytes
  }

  // MARK: Actions

  private func read(_ bytes: UnsafeRawBufferPointer) {
    received.append(contentsOf: bytes)
    while let end = received.firstRange(of: [13, 10, 13, 10]) {
      let text = String(decoding: received[..<end.lowerBound], as: UTF8.self)
      received.removeFirst(end.upperBound)
      var headers: [String: String] = [:]
      for line in text.split(separator: "\r\n") {
        let pair = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0).trimmed }
        if pair.count == 2 { headers[pair[0].asciiLowercased] = pair[1] }
      }
      perform(AMIRequest(headers: headers))
    }
    if received.count > 65_536 { stream.close() }
  }

  private func perform(_ request: AMIRequest) {
    switch request.action {
    case "challenge":
      challenge = String(UInt32.random(in: 100_000_000...999_999_999))
      succeed(request, [("Challenge", challenge ?? "")])
    case "login": logIn(request)
    case "ping": succeed(request, [("Ping", "Pong"), ("Timestamp", "0.0")])
    case "logoff":
      reply(request, "Goodbye", [("Message", "Thanks for all the fish.")])
      stream.closeAfterDrain()
    default: isLoggedIn ? act(request) : fail(request, "Permission denied")
    }
  }

  private func logIn(_ request: AMIRequest) {
    let secret = server.account.secret.reveal()
    let isRight =
      request["authtype"]?.asciiLowercased == "md5"
      ? challenge.map { request["key"] == Hex.encode(Digest.md5(Array(($0 + secret).utf8))) } ?? false
      : request["secret"] == secret
    guard isRight, request["username"] == server.account.username else {
      LoopActor.loop.after(.seconds(1)) { [self] in
        fail(request, "Authentication failed")
        stream.closeAfterDrain()
      }
      return
    }
    isLoggedIn = true
    if let events = request["events"]?.asciiLowercased { setMask(events) }
    succeed(request, [("Message", "Authentication accepted")])
    let uptime = Int(Timestamp.now().seconds(since: server.pbx.startedAt))
    stream.write(
      Self.message([
        ("Event", "FullyBooted"), ("Privilege", "system,all"), ("Uptime", "\(uptime)"), ("LastReload", "\(uptime)"),
        ("Status", "Fully Booted"),
      ]))
    server.onLogin(self)
  }

  private func setMask(_ text: String) {
    mask = text == "on" || text == "all" ? nil : Set(text.split(separator: ",").map { String($0).trimmed })
  }

  func succeed(_ request: AMIRequest, _ lines: [(String, String)] = []) { reply(request, "Success", lines) }
  func fail(_ request: AMIRequest, _ message: String) { reply(request, "Error", [("Message", message)]) }

  private func reply(_ request: AMIRequest, _ response: String, _ lines: [(String, String)]) {
    let id = request["actionid"].map { [("ActionID", $0)] } ?? []
    stream.write(Self.message([("Response", response)] + id + lines))
  }

  func list(_ request: AMIRequest, _ items: [[(String, String)]], complete: String) {
    let id = request["actionid"].map { [("ActionID", $0)] } ?? []
    succeed(request, [("EventList", "start"), ("Message", "List will follow")])
    for item in items { stream.write(Self.message([item[0]] + id + item.dropFirst())) }
    stream.write(
      Self.message([("Event", complete)] + id + [("EventList", "Complete"), ("ListItems", String(items.count))]))
  }

  private func act(_ request: AMIRequest) {
    if request.action == "events" {
      setMask(request["eventmask"]?.asciiLowercased ?? "on")
      return succeed(request)
    }
    if let answer = server.recorded.answer(request.action, id: request["actionid"]) {
      for message in answer { stream.write(Self.message(message)) }
      return
    }
    server.pbx.perform(request, for: self)
  }
}

struct AMIRequest {
  let headers: [String: String]
  var action: String { headers["action"]?.asciiLowercased ?? "" }
  subscript(name: String) -> String? { headers[name] }
}
