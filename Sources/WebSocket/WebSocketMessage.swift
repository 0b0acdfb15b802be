// What travels on a WebSocket, and how it is refused.

/// What arrived: whole messages and control frames, in order.
package enum WebSocketMessage: Equatable, Sendable {
  case text([UInt8])
  case binary([UInt8])
  case ping([UInt8])
  case pong([UInt8])
  case close(code: UInt16?, reason: String)
}

/// A breach of the protocol, and the code to close with (RFC 6455 §7.4.1).
package struct WebSocketFault: Error, Equatable {
  package let code: UInt16
  package let reason: String
}

package enum WebSocketRole: Sendable { case server, client }

package enum WebSocketOpcode: UInt8 {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}
