// The opening handshake, for the server and for the client (RFC 6455 §4).

internal import Basics
internal import Crypto
package import HTTP

package enum WebSocketHandshake {
  private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

  static func acceptKey(_ key: String) -> String { Base64.encode(Digest.sha1(Array((key + guid).utf8))) }

  /// The head of the 101 answer.
  /// - Parameter protocols: what we speak, the one we prefer first; none offered is fine.
  /// - Throws: 400 or 426 for what is no valid handshake.
  package static func accept(
    _ request: HTTPRequest, protocols: [String] = []
  ) throws(APIError) -> (head: [UInt8], chosen: String?) {
    guard request.list("upgrade").contains("websocket"), request.list("connection").contains("upgrade"),
      !request.isHTTP10
    else {
      var error = APIError(426, "upgrade-required", "Open this address as a WebSocket.")
      error.headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
      throw error
    }
    let versions = request.headers.filter { $0.name.isEqualWithoutCase(to: "sec-websocket-version") }
    guard versions.count <= 1 else {
      throw APIError(400, "websocket-version", "Sec-WebSocket-Version must stand once.")
    }
    guard versions.first?.value == "13" else {
      var error = APIError(426, "websocket-version", "Only version 13 of the WebSocket protocol is spoken here.")
      error.headers = [("Sec-WebSocket-Version", "13")]
      throw error
    }
    let keys = request.headers.filter { $0.name.isEqualWithoutCase(to: "sec-websocket-key") }
    guard keys.count == 1, Base64.decode(keys[0].value)?.count == 16 else {
      throw APIError(400, "websocket-key", "Sec-WebSocket-Key must be 16 bytes in base64, once.")
    }
    let offered = request.list("sec-websocket-protocol")
    let chosen = protocols.first(where: offered.contains)
    var head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Accept: \(acceptKey(keys[0].value))\r\n"
    if let chosen { head += "Sec-WebSocket-Protocol: \(chosen)\r\n" }
    return (Array((head + "\r\n").utf8), chosen)
  }

  /// The client's request, and the key to check the answer with.
  package static func request(
    host: String, target: String, headers: [(String, String)], protocols: [String]
  ) -> (head: [UInt8], key: String) {
    let key = Base64.encode(Random.bytes(16))
    var head = "GET \(target) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\n"
    if !protocols.isEmpty { head += "Sec-WebSocket-Protocol: \(protocols.joined(separator: ", "))\r\n" }
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    return (Array((head + "\r\n").utf8), key)
  }

  /// Whether the server's answer accepts the handshake as it was offered (RFC 6455 §4.1); otherwise what it said.
  package static func check(answer head: String, key: String, protocols: [String] = []) throws(WebSocketRefusal) {
    let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    guard let status = lines.first, status.hasPrefix("HTTP/1.1 101 ") || status == "HTTP/1.1 101" else {
      throw WebSocketRefusal(answer: lines.first ?? "")
    }
    var headers: [(name: String, value: String)] = []
    for line in lines.dropFirst() {
      let pair = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard pair.count == 2, !pair[0].isEmpty, pair[0] == pair[0].trimmed else {
        throw WebSocketRefusal(answer: "a malformed header line")
      }
      headers.append((pair[0], pair[1].trimmed))
    }
    func values(_ name: String) -> [String] { headers.filter { $0.name.isEqualWithoutCase(to: name) }.map(\.value) }
    func names(_ name: String, _ word: String) -> Bool {
      values(name).flatMap { $0.split(separator: ",") }.contains { String($0).trimmed.isEqualWithoutCase(to: word) }
    }
    guard values("sec-websocket-accept") == [acceptKey(key)], values("upgrade").count == 1,
      names("upgrade", "websocket"), names("connection", "upgrade")
    else { throw WebSocketRefusal(answer: "the server proved no WebSocket") }
    let chosen = values("sec-websocket-protocol")
    guard values("sec-websocket-extensions").isEmpty, chosen.count <= 1, chosen.allSatisfy(protocols.contains) else {
      throw WebSocketRefusal(answer: "the server chose what was not offered")
    }
  }
}

/// The server did not agree to speak WebSocket.
package struct WebSocketRefusal: Error, CustomStringConvertible {
  package let answer: String
  package var description: String { "the WebSocket was refused: \(answer)" }
}
