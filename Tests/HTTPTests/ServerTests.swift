import Basics
import HTTP
import Loop
import TestSupport
import Testing

/// The server over real sockets.
@Suite(.serialized) struct ServerTests {
  init() { _ = LoopThread.isRunning }

  @LoopActor private func server() throws -> (HTTPServer, Int) {
    let server = HTTPServer(router: Router(Self.routes))
    return (server, try server.listen(at: .tcp(host: "127.0.0.1", port: 0)))
  }

  @LoopActor fileprivate static let routes = [
    Route(
      "POST", "/echo", "", tag: "", access: .open,
      handler: .now { context in .response(HTTPResponse(body: context.request.body)) }),
    Route(
      "GET", "/later", "", tag: "", access: .open,
      handler: .later { _ in
        await LoopActor.loop.sleep(for: .milliseconds(50))
        return .response(.text("later"))
      }),
    Route(
      "GET", "/calls/{id}/x", "", tag: "", access: .open,
      handler: .now { context in .response(.text(context.path["id"] ?? "")) }),
  ]

  /// Sends the text and gives all that comes until the server closes.
  @LoopActor private func exchange(_ port: Int, _ text: String) async throws -> String {
    let stream = try Stream.connect(host: "127.0.0.1", port: port)
    return try await eventually("the answer") { done in
      var received: [UInt8] = []
      stream.onBytes = { received.append(contentsOf: $0) }
      stream.onEnd = { _ in done(String(decoding: received, as: UTF8.self)) }
      stream.write(Array(text.utf8))
    }
  }

  @Test @LoopActor func pipelinedRequestsAreAnsweredInOrder() async throws {
    let (server, port) = try server()
    defer { server.drain() }
    let answer = try await exchange(
      port,
      "GET /later HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /calls/4%2F2/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    let order = ["later", "abc", "4/2"].compactMap { answer.firstRange(of: $0)?.lowerBound }
    #expect(order.count == 3 && order == order.sorted())
    #expect(answer.contains("Connection: close"))
  }

  @Test @LoopActor func aRefusalClosesTheConnection() async throws {
    let (server, port) = try server()
    defer { server.drain() }
    let answer = try await exchange(
      port,
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    #expect(answer.hasPrefix("HTTP/1.1 400"))
    #expect(!answer.contains("later"))
    #expect(answer.contains("\"code\":\"bad-http\""))
  }

  @Test @LoopActor func unknownPathsMethodsAndNamesAreToldApart() async throws {
    let (server, port) = try server()
    defer { server.drain() }
    for (request, status) in [
      ("GET /none", 404), ("DELETE /echo", 405), ("BREW /echo", 501), ("HEAD /calls/1/x", 200), ("GET /l%61ter", 200),
      ("GET /calls%2F1/x", 404), ("GET /%6cater%", 404),
    ] {
      let answer = try await exchange(port, "\(request) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(request): \(answer.prefix(20))")
      if status == 405 { #expect(answer.contains("Allow: POST")) }
      if request.hasPrefix("HEAD") { #expect(answer.hasSuffix("\r\n\r\n")) }
    }
  }

  @Test @LoopActor func permissionIsGivenBeforeTheBody() async throws {
    let (server, port) = try server()
    defer { server.drain() }
    let stream = try Stream.connect(host: "127.0.0.1", port: port)
    let answer: String = try await eventually("the echo") { done in
      var text = ""
      stream.onBytes = { bytes in
        let wasAsked = text.isEmpty
        text += String(decoding: bytes, as: UTF8.self)
        if wasAsked, text.hasPrefix("HTTP/1.1 100") { stream.write(Array("body".utf8)) }
      }
      stream.onEnd = { _ in done(text) }
      stream.write(
        Array(
          "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
            .utf8))
    }
    #expect(answer.hasSuffix("body"))
  }

  // MARK: Lateness, by a clock that only the test moves

  /// Each begins something behind a request that is answered; who has begun nothing is owed no refusal.
  @Test(arguments: [
    ("GET / HT", true), ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", true), ("", false),
  ])
  @LoopActor func slowSendersAreRefusedWith408(_ beginning: String, _ isRefused: Bool) async throws {
    let late = try LateServer()
    defer { late.server.drain() }
    let answer: String = try await eventually("the end of the connection") { done in
      var text = ""
      let stream = late.connect {
        text += $0
        late.pass(.seconds(76))
      } onEnd: {
        done(text)
      }
      stream?.write(Array(("GET /calls/1/x HTTP/1.1\r\nHost: a\r\n\r\n" + beginning).utf8))
    }
    #expect(answer.contains("HTTP/1.1 408") == isRefused)
  }

  @Test @LoopActor func aConnectionThatKeepsAskingIsKept() async throws {
    let late = try LateServer()
    defer { late.server.drain() }
    let answers: Int = try await eventually("the end of a client that stopped asking") { done in
      var answers = 0
      var stream: LoopStream?
      @LoopActor func ask() { stream?.write(Array("GET /calls/1/x HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) }
      stream = late.connect { _ in
        answers += 1
        // Ten times two thirds of what an idle client may take, then more than all of it.
        late.pass(.seconds(answers < 10 ? 50 : 76))
        if answers < 10 { ask() }
      } onEnd: {
        done(answers)
      }
      ask()
    }
    #expect(answers == 10)
  }

  @Test @LoopActor func aDrainingServerAnswersWhatIsUnderWayAndCloses() async throws {
    let (server, port) = try server()
    server.router.add(
      Route(
        "GET", "/drain", "", tag: "", access: .open,
        handler: .later { _ in
          server.drain()
          await LoopActor.loop.sleep(for: .milliseconds(5))
          return .response(.text("later"))
        }))
    let answer = try await exchange(port, "GET /drain HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.contains("Connection: close") && answer.hasSuffix("later"))
  }
}

/// A server whose time stands still unless the test lets it pass.
@LoopActor
private final class LateServer {
  let server: HTTPServer
  private let clock = Clock()
  private let port: Int

  @LoopActor private final class Clock {
    var time = Moment.now()
  }

  init() throws {
    server = HTTPServer(router: Router(ServerTests.routes)) { [clock] in clock.time }
    port = try server.listen(at: .tcp(host: "127.0.0.1", port: 0))
  }

  func pass(_ span: Duration) {
    clock.time = clock.time + span
    server.sweep()
  }

  func connect(_ onText: @escaping @LoopActor (String) -> Void, onEnd: @escaping @LoopActor () -> Void) -> LoopStream? {
    let stream = try? LoopStream.connect(host: "127.0.0.1", port: port)
    stream?.onBytes = { onText(String(decoding: $0, as: UTF8.self)) }
    stream?.onEnd = { _ in onEnd() }
    return stream
  }
}
