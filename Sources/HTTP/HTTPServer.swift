// The HTTP server: listeners, their connections, and the clock that ends what takes too long.

package import Basics
internal import Crypto
package import Loop

package struct HTTPServerConfig: Sendable {
  package var limits = HTTPLimits()
  package var headTimeout: Duration = .seconds(10)
  package var bodyTimeout: Duration = .seconds(20)
  package var idleTimeout: Duration = .seconds(75)
  package var maxConnections = 4096
  package var trustedProxies: Set<String> = ["127.0.0.1", "::1", "local"]
  /// Stripped from the front of every path, for proxies that pass it on; empty or `/like-this`.
  package var basePath = ""

  package init() {}
}

@LoopActor
package final class HTTPServer {
  package let router: Router
  package let config: HTTPServerConfig
  package var authorise: Authoriser = { _, _, _ throws(APIError) in nil }
  package var onRequest: @LoopActor (_ status: Int) -> Void = { _ in }
  /// A fault of ours: something went wrong that no request can cause.
  package var onFault: @LoopActor (_ requestID: String, _ reason: String) -> Void = { _, _ in }
  package private(set) var isDraining = false

  private var listeners: [Listener] = []
  private var connections: [ObjectIdentifier: HTTPConnection] = [:]
  private var isSweeping = false
  private var dateLine = DateLine()
  private var requestCount: UInt64 = 0
  private let instance = Hex.encode(Random.bytes(4))
  /// By which clients are late.
  let now: @LoopActor () -> Moment

  package init(
    router: Router, config: HTTPServerConfig = HTTPServerConfig(), now: @escaping @LoopActor () -> Moment = Moment.now
  ) {
    (self.router, self.config, self.now) = (router, config, now)
  }

  /// Listens here too; gives the port.
  /// - Parameter isOperator: what comes in is the operator: the socket in the runtime folder.
  @discardableResult
  package func listen(at place: Listener.Place, isOperator: Bool = false) throws(StreamFailure) -> Int {
    let listener = try Listener(at: place) { [self] stream in accept(stream, isOperator: isOperator) }
    listeners.append(listener)
    return listener.port
  }

  package var connectionCount: Int { connections.count }

  private func accept(_ stream: Stream, isOperator: Bool) {
    guard connections.count < config.maxConnections else {
      stream.write(
        Array(
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8))
      return stream.closeAfterDrain()
    }
    let connection = HTTPConnection(stream, server: self, isOperator: isOperator)
    connections[ObjectIdentifier(connection)] = connection
    sweepSoon()
  }

  func forget(_ connection: HTTPConnection) { connections[ObjectIdentifier(connection)] = nil }

  func date() -> [UInt8] { dateLine.now() }

  func nextRequestID() -> RequestID {
    requestCount += 1
    return RequestID(instance: instance, number: requestCount)
  }

  /// Once a second while anybody is connected.
  private func sweepSoon() {
    guard !isSweeping else { return }
    isSweeping = true
    // Strong on purpose: a weak reference would slow every request by a side table. The sweep ends with the last client.
    LoopActor.loop.after(.seconds(1)) { [self] in
      isSweeping = false
      sweep()
      if !connections.isEmpty { sweepSoon() }
    }
  }

  /// Ends or refuses whoever is late.
  package func sweep() {
    let now = now()
    for connection in connections.values where connection.deadline < now { connection.timeOut() }
  }

  /// Takes no more connections, closes the idle ones, and answers what is under way with `Connection: close`.
  package func drain() {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    for connection in connections.values { connection.closeIfIdle() }
  }
}
