// Opens a WebSocket to a server on this host or network, over plain TCP or a Unix socket.

internal import Basics
internal import HTTP
package import Loop

package enum WebSocketClient {
  /// A server that takes longer to answer the handshake is none.
  private static let handshakeTime: Duration = .seconds(10)

  /// Connects and shakes hands; the session is open when `onOpen` is called with it.
  @LoopActor
  package static func open(
    _ stream: Stream, host: String, target: String, headers: [(String, String)] = [], protocols: [String] = [],
    messageLimit: Int = 1 << 20, _ onOpen: @escaping @LoopActor (Result<WebSocketSession, WebSocketRefusal>) -> Void
  ) {
    let (head, key) = WebSocketHandshake.request(host: host, target: target, headers: headers, protocols: protocols)
    var answer: [UInt8] = []
    let limit = LoopActor.loop.after(handshakeTime) { stream.close() }
    stream.onEnd = { end in
      LoopActor.loop.cancel(limit)
      onOpen(.failure(WebSocketRefusal(answer: end.explanation)))
    }
    stream.onBytes = { bytes in
      answer.append(contentsOf: bytes)
      guard let end = answer.firstRange(of: Array("\r\n\r\n".utf8)) else {
        if answer.count > 16_384 { stream.close() }
        return
      }
      LoopActor.loop.cancel(limit)
      do throws(WebSocketRefusal) {
        try WebSocketHandshake.check(
          answer: String(decoding: answer[..<end.lowerBound], as: UTF8.self), key: key, protocols: protocols)
        let rest = Array(answer[end.upperBound...])
        onOpen(.success(WebSocketSession(stream, role: .client, messageLimit: messageLimit, received: rest)))
      } catch {
        stream.onEnd = { _ in }
        stream.close()
        onOpen(.failure(error))
      }
    }
    stream.write(head)
  }
}
