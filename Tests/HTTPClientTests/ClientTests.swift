import Basics
import HTTP
import HTTPClient
import Loop
import TestSupport
import Testing

@Suite(.serialized) struct ClientTests {
  init() { _ = LoopThread.isRunning }

  @LoopActor private func server() throws -> String {
    let server = HTTPServer(
      router: Router([
        Route(
          "POST", "/echo", "", tag: "", access: .open,
          handler: .now { context in .response(HTTPResponse(contentType: "text/x", body: context.request.body)) }),
        Route(
          "GET", "/away", "", tag: "", access: .open,
          handler: .now { _ in
            var response = HTTPResponse(status: 302)
            response.headers = [("Location", "/echo")]
            return .response(response)
          }),
      ]))
    return "http://127.0.0.1:\(try server.listen(at: .tcp(host: "127.0.0.1", port: 0)))"
  }

  @Test @LoopActor func aRequestIsAnswered() async throws {
    let (client, url) = (try HTTPClient(), try server())
    var request = ClientRequest("POST", url + "/echo")
    for size in [0, 5, 300_000] {
      request.body = [UInt8](repeating: 120, count: size)
      request.headers = [("Content-Type", "text/x")]
      let answer = try await client.send(request)
      #expect(answer.status == 200 && answer.body.count == size && answer.header("content-TYPE") == "text/x")
    }
    #expect(try await client.send(ClientRequest("GET", url + "/away")).status == 302)
    #expect(try await client.send(ClientRequest("DELETE", url + "/echo")).status == 405)
  }

  @Test @LoopActor func whatGoesWrongIsNamed() async throws {
    let (client, url) = (try HTTPClient(), try server())
    var large = ClientRequest("POST", url + "/echo")
    (large.body, large.bodyLimit) = ([UInt8](repeating: 1, count: 2000), 1999)
    await #expect(throws: ClientFailure.self) { try await client.send(large) }
    for (address, kind) in [
      ("http://127.0.0.1:1/", ClientFailure.Kind.unreachable), ("file:///etc/passwd", .badURL),
    ] {
      let failure = await #expect(throws: ClientFailure.self) { try await client.send(ClientRequest("GET", address)) }
      #expect(failure?.kind == kind, "\(address): \(failure?.kind as Any)")
    }
  }

  @Test @LoopActor func manyAtOnceAreAllAnswered() async throws {
    let (client, url) = (try HTTPClient(), try server())
    let answers: Int = try await eventually("all answers") { done in
      var answers = 0
      for number in 0..<200 {
        LoopActor.begin {
          var request = ClientRequest("POST", url + "/echo")
          request.body = Array("\(number)".utf8)
          if (try? await client.send(request))?.body == Array("\(number)".utf8) { answers += 1 }
          if answers == 200 { done(answers) }
        }
      }
    }
    #expect(answers == 200)
  }

  // MARK: TLS

  @Test @LoopActor func aCertificateMustBeSignedAndOfThatName() async throws {
    let client = try HTTPClient()
    let server = try TLSServer(name: "pbx.example.com", mode: "-www")
    var request = ClientRequest("GET", "https://pbx.example.com:\(server.port)/")
    (request.connectTo, request.caFile) = ("127.0.0.1:\(server.port)", server.caFile)
    #expect(try await client.send(request).status == 200)
    request.url = "https://other.example.com:\(server.port)/"
    let foreign = await #expect(throws: ClientFailure.self) { try await client.send(request) }
    #expect(foreign?.kind == .certificate)
    (request.url, request.caFile) = ("https://pbx.example.com:\(server.port)/", nil)
    let unsigned = await #expect(throws: ClientFailure.self) { try await client.send(request) }
    #expect(unsigned?.kind == .certificate)
  }

  @Test @LoopActor func aTunnelCarriesBytesBothWays() async throws {
    let client = try HTTPClient()
    let server = try TLSServer(name: "pbx.example.com", mode: "-rev")
    var request = ClientRequest("GET", "https://pbx.example.com:\(server.port)/")
    (request.connectTo, request.caFile) = ("127.0.0.1:\(server.port)", server.caFile)
    let stream = try await client.connect(request)
    let line = String(repeating: "abcdefghi", count: 200)
    let answer: String = try await eventually("the answer") { done in
      var text = ""
      stream.onBytes = { bytes in
        text += String(decoding: bytes, as: UTF8.self)
        if text.utf8.count == 1801 { done(text) }
      }
      stream.write(Array((line + "\n").utf8))
    }
    #expect(answer == String(line.reversed()) + "\n")
    stream.close()
  }
}
