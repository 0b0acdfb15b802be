import Basics
import HTTP
import Loop
import TestSupport
import Testing

/// The server over real sockets.
@Suite(.serialized) struct ServerTests {
  init() { _ = LoopThread.isRunning }

  @LoopActor private func server(_ config: HTTPServerConfig = HTTPServerConfig()) throws -> (HTTPServer, Int) {
    let echo = Route(
      "POST", "/echo", "", tag: "", access: .open,
      handler: .now { context in .response(HTTPResponse(body: context.request.body)) })
    let slow = Route(
      "GET", "/later", "", tag: "", access: .open,
      handler: .later { _ in
        await LoopActor.loop.sleep(for: .milliseconds(50))
        return .response(.text("later"))
      })
    let name = Route(
      "GET", "/calls/{id}/x", "", tag: "", access: .open,
      handler: .now { context in .response(.text(context.path["id"] ?? "")) })
    let server = HTTPServer(router: Router([echo, slow, name]), config: config)
    return (server, try server.listen(at: .tcp(host: "127.0.0.1", port: 0)))
  }

  /// Sends the text and gives all that comes until the server closes.
  @LoopActor private func exchange(_ port: Int, _ text: String, within seconds: Double = 10) async throws -> String {
    let stream = try Stream.connect(host: "127.0.0.1", port: port)
    return try await eventually("the answer", within: seconds) { done in
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
    for (request, status) in [("GET /none", 404), ("DELETE /echo", 405), ("BREW /echo", 501), ("HEAD /calls/1/x", 200)]
    {
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

  @Test @LoopActor func slowSendersAreRefusedWith408() async throws {
    var config = HTTPServerConfig()
    (config.headTimeout, config.bodyTimeout) = (.milliseconds(100), .milliseconds(100))
    let (server, port) = try server(config)
    defer { server.drain() }
    for start in ["GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"] {
      #expect(try await exchange(port, start).hasPrefix("HTTP/1.1 408"))
    }
    #expect(try await exchange(port, "") == "")
  }

  @Test @LoopActor func aConnectionThatKeepsAskingIsKept() async throws {
    var config = HTTPServerConfig()
    config.idleTimeout = .milliseconds(1500)
    let (server, port) = try server(config)
    defer { server.drain() }
    let stream = try Stream.connect(host: "127.0.0.1", port: port)
    let answers: Int = try await eventually("ten answers over four seconds") { done in
      var answers = 0
      @LoopActor func ask() { stream.write(Array("GET /calls/1/x HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) }
      stream.onEnd = { _ in done(answers) }
      stream.onBytes = { _ in
        answers += 1
        if answers == 10 { done(answers) } else { LoopActor.loop.after(.milliseconds(400)) { ask() } }
      }
      ask()
    }
    #expect(answers == 10)
    stream.close()
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
