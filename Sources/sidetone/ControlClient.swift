// Talks to the running agent over the socket in its runtime folder, with the agent's own HTTP.

internal import Agent
internal import Basics
internal import JSON
internal import Loop
internal import WebSocket

struct AgentNotReachable: Error, CustomStringConvertible {
  let path: String
  var description: String { "no agent answers at \(path); start it with `sidetone serve`, or name its --config" }
}

/// The agent said no.
struct AgentRefusal: Error, CustomStringConvertible {
  let status: Int
  let description: String
}

@LoopActor
struct ControlClient {
  let path: String

  init(_ config: AgentConfig) { path = config.controlSocket }

  /// One request, one answer as JSON.
  func call(_ method: String, _ target: String, headers: [(String, String)] = [], body: [UInt8] = []) async throws
    -> JSONValue
  {
    let answer = try await exchange(method, target, headers, body)
    guard let end = answer.firstRange(of: Array("\r\n\r\n".utf8)),
      let status = Int(String(decoding: answer.dropFirst(9).prefix(3), as: UTF8.self))
    else { throw AgentNotReachable(path: path) }
    let rest = Array(answer[end.upperBound...])
    let json =
      rest.isEmpty ? JSONValue.null : (try? JSONValue(parsing: rest)) ?? .string(String(decoding: rest, as: UTF8.self))
    guard status < 400 else {
      throw AgentRefusal(status: status, description: json["message"]?.string ?? "the agent answered \(status)")
    }
    return json
  }

  private func exchange(_ method: String, _ target: String, _ headers: [(String, String)], _ body: [UInt8])
    async throws -> [UInt8]
  {
    guard Files.exists(path), let stream = try? Stream.connect(path: path) else { throw AgentNotReachable(path: path) }
    var head = "\(method) \(target) HTTP/1.1\r\nHost: control\r\nConnection: close\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if !body.isEmpty { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
    stream.write(Array((head + "\r\n").utf8) + body)
    let answer: [UInt8] = await withCheckedContinuation { continuation in
      var received: [UInt8] = []
      stream.onBytes = { received.append(contentsOf: $0) }
      stream.onEnd = { _ in continuation.resume(returning: received) }
    }
    guard !answer.isEmpty else { throw AgentNotReachable(path: path) }
    return answer
  }

  /// Opens a WebSocket to the agent.
  func webSocket(_ target: String, protocols: [String]) async throws -> WebSocketSession {
    guard Files.exists(path), let stream = try? Stream.connect(path: path) else { throw AgentNotReachable(path: path) }
    return try await withCheckedContinuation { continuation in
      WebSocketClient.open(stream, host: "control", target: target, protocols: protocols) {
        continuation.resume(returning: $0)
      }
    }.get()
  }
}
