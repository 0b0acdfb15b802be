// sidetone debug: lets outside conformance suites drive the WebSocket code that ships.

internal import Basics
internal import HTTP
internal import JSON
internal import Loop
internal import WebSocket

extension Sidetone {
  static let debug = Command(
    name: "debug", summary: "drive the shipped protocol code from outside",
    usage:
      "debug ws-echo --listen ADDR | ws-client URL AGENT | jws-verify | http-fetch URL [--ca FILE] [--connect-to HOST:PORT]",
    options: [.value("listen"), .value("ca"), .value("connect-to")], isHidden: true
  ) { arguments in
    switch try arguments.operand(0, "ws-echo, ws-client, jws-verify or http-fetch") {
    case "jws-verify": return try verifyTokens()
    case "http-fetch":
      let url = try arguments.operand(1, "URL")
      return try await fetch(url, caFile: arguments["ca"], connectTo: arguments["connect-to"])
    case "ws-echo": return try await echo(arguments["listen"] ?? "127.0.0.1:9001")
    case "ws-client":
      return try await runCases(try arguments.operand(1, "URL"), agent: try arguments.operand(2, "AGENT"))
    default: throw UsageError(description: "expected ws-echo, ws-client, jws-verify or http-fetch")
    }
  }

  /// Larger than the largest message of the usual suites.
  private static let messageLimit = 32 << 20

  @LoopActor private static func echo(_ address: String) async throws -> Int32 {
    guard let place = Listener.Place(address) else { throw UsageError(description: "--listen needs address:port") }
    let route = Route(
      "GET", "/", "echo", tag: "debug", access: .open,
      handler: .now { context throws(APIError) in
        let (head, _) = try WebSocketHandshake.accept(context.request)
        return .takeOver(head: head) { stream, received in
          answer(WebSocketSession(stream, messageLimit: messageLimit, received: received))
        }
      })
    let server = HTTPServer(router: Router([route]))
    let port = try server.listen(at: place)
    Files.print("ready ws://127.0.0.1:\(port)/")
    return await withCheckedContinuation { continuation in
      let signals = Signals([2, 15]) { _ in continuation.resume(returning: Exit.ok) }
      held.append(signals)
    }
  }

  @LoopActor private static var held: [Signals] = []

  /// Sends every message back.
  @LoopActor private static func answer(
    _ session: WebSocketSession, onText: @escaping @LoopActor ([UInt8]) -> Bool = { _ in true },
    onEnd: @escaping @LoopActor () -> Void = {}
  ) {
    session.queueLimit = 4 * messageLimit
    session.receive { message in
      switch message {
      case .text(let bytes): if onText(bytes) { session.send(.text, bytes) }
      case .binary(let bytes): session.send(.binary, bytes)
      case .ping, .pong, .close: break
      }
    } onEnd: { _, _ in
      onEnd()
    }
  }

  // MARK: Client

  /// The loop of Autobahn's fuzzing server: how many cases, each case as an echo, then the report.
  @LoopActor private static func runCases(_ url: String, agent: String) async throws -> Int32 {
    let count = Int(try await once(url, "/getCaseCount") ?? "") ?? 0
    for number in 1...max(1, count) { _ = try await once(url, "/runCase?case=\(number)&agent=\(agent)") }
    _ = try await once(url, "/updateReports?agent=\(agent)")
    Files.print("ran \(count) cases")
    return count > 0 ? Exit.ok : Exit.broken
  }

  /// Opens, echoes until the server closes, and gives the first text that came.
  @LoopActor private static func once(_ url: String, _ target: String) async throws -> String? {
    let address = url.hasPrefix("ws://") ? String(url.dropFirst(5)) : url
    let authority = String(address.prefix { $0 != "/" })
    guard case .tcp(let host, let port)? = Listener.Place(authority) else {
      throw UsageError(description: "URL is ws://address:port")
    }
    let stream = try Stream.connect(host: host, port: port)
    return try await withCheckedThrowingContinuation { continuation in
      WebSocketClient.open(stream, host: authority, target: target, messageLimit: messageLimit) { result in
        switch result {
        case .failure(let refusal): continuation.resume(throwing: refusal)
        case .success(let session):
          var first: String?
          answer(session) { bytes in
            first = first ?? String(decoding: bytes, as: UTF8.self)
            return !target.hasPrefix("/getCaseCount")
          } onEnd: {
            continuation.resume(returning: first)
          }
        }
      }
    }
  }
}
