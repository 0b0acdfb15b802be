// Requests to the 3CX with the shared token: once more after a 401, and every failure with what 3CX says of it.

internal import Basics
package import HTTPClient
package import JSON
package import Loop

@LoopActor
package final class ThreeCXClient {
  package let config: ThreeCXConfig
  private let client: HTTPClient
  let broker: TokenBroker
  /// Of the PBX, from the first answer that says it.
  package private(set) var version: String?

  package init(_ config: ThreeCXConfig) throws(ClientFailure) {
    self.config = config
    client = try HTTPClient()
    broker = TokenBroker(config, client)
  }

  /// Requests for tokens so far.
  package var tokenRequests: Int { broker.requests }

  /// - Parameter path: with its query, escaped.
  package func get(_ path: String, within span: Duration = .seconds(15)) async throws(ThreeCXFault) -> JSONValue {
    try Self.json(try await send("GET", path, nil, within: span))
  }

  package func post(_ path: String, _ body: (inout JSONWriter) -> Void) async throws(ThreeCXFault) -> JSONValue {
    var json = JSONWriter()
    json.object { body(&$0) }
    let answer = try await send("POST", path, json.bytes)
    return answer.body.isEmpty ? .object([]) : try Self.json(answer)
  }

  /// Any answer with a status of 200 to 299.
  package func send(_ method: String, _ path: String, _ body: [UInt8]?, within span: Duration = .seconds(15))
    async throws(ThreeCXFault) -> ClientResponse
  {
    for attempt in 1...2 {
      let token = try await broker.token()
      let answer = try await perform(method, path, body, token, span)
      if let version = answer.header("x-3cx-version") { self.version = version }
      if answer.status == 401, attempt == 1 {
        broker.refused(token)
        continue
      }
      guard answer.isSuccess else { throw Self.fault(answer) }
      return answer
    }
    throw .status(401, "", "the token is not accepted")
  }

  private func perform(_ method: String, _ path: String, _ body: [UInt8]?, _ token: Secret<String>, _ span: Duration)
    async throws(ThreeCXFault) -> ClientResponse
  {
    var request = request(method, path, token)
    request.timeout = span
    if let body {
      request.body = body
      request.headers.append(("Content-Type", "application/json"))
    }
    do throws(ClientFailure) { return try await client.send(request) } catch { throw .client(error) }
  }

  private func request(_ method: String, _ path: String, _ token: Secret<String>) -> ClientRequest {
    var request = ClientRequest(method, config.url + path)
    (request.connectTo, request.caFile) = (config.connectTo, config.caFile)
    request.headers = [("Authorization", "Bearer \(token.reveal())"), ("Accept", "application/json")]
    return request
  }

  private static func json(_ answer: ClientResponse) throws(ThreeCXFault) -> JSONValue {
    do { return try JSONValue(parsing: answer.body) } catch { throw .garbage("an answer is no JSON") }
  }

  private static func fault(_ answer: ClientResponse) -> ThreeCXFault {
    let error = (try? JSONValue(parsing: answer.body))?["error"]
    return .status(answer.status, error?["code"]?.string ?? "", error?["message"]?.string ?? "")
  }

  // MARK: The WebSocket

  /// A connection to speak the WebSocket handshake on, and the token to show.
  func connect() async throws(ThreeCXFault) -> (stream: Stream, token: Secret<String>) {
    let token = try await broker.token()
    guard let origin = config.origin else { throw .garbage("the url is none") }
    if !origin.isTLS {
      let (host, port) = Self.place(config.connectTo) ?? (origin.host, origin.port)
      do throws(StreamFailure) {
        return (try Stream.connect(host: host, port: port), token)
      } catch {
        throw .client(ClientFailure(.unreachable, error.description))
      }
    }
    do throws(ClientFailure) {
      return (try await client.connect(request("GET", "/callcontrol/ws", token)), token)
    } catch {
      throw .client(error)
    }
  }

  private static func place(_ text: String?) -> (String, Int)? {
    guard case .tcp(let host, let port)? = text.flatMap({ Listener.Place($0) }) else { return nil }
    return (host, port)
  }
}
