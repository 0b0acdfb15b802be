// One client: requests are read, answered in order, and the connection ends with a status where one is due.

internal import Basics
internal import Loop

@LoopActor
final class HTTPConnection {
  /// When the sweep ends this connection: the head, the body or the next request did not come in time.
  private(set) var deadline: Moment

  private let stream: Stream
  private let server: HTTPServer
  private let isOperator: Bool
  private let peer: String
  private var parser: HTTPParser
  private var isAnswering = false
  private var isFinished = false
  private var isHeldBack = false
  private var queuedAtDeadline = Int.max
  private var owed = Owed.head

  init(_ stream: Stream, server: HTTPServer, isOperator: Bool) {
    self.stream = stream
    self.server = server
    self.isOperator = isOperator
    peer = isOperator ? "operator" : stream.peerAddress
    parser = HTTPParser(limits: server.config.limits)
    deadline = server.now() + server.config.headTimeout
    stream.queueLimit = 16 << 20
    stream.onBytes = { [unowned self] bytes in received(bytes) }
    stream.onEnd = { [unowned self] _ in server.forget(self) }
    stream.onPeerFinished = { [unowned self] in process() }
    stream.onDrained = { [unowned self] in drained() }
  }

  private func received(_ bytes: UnsafeRawBufferPointer) {
    parser.feed(bytes)
    if isAnswering, parser.pendingBytes > server.config.limits.bodyBytes { stream.pauseReading() }
    process()
  }

  /// Answers that wait for the client, beyond which no more of its requests are answered.
  private static let highWater = 1 << 20

  private func drained() {
    guard isHeldBack else { return }
    isHeldBack = false
    stream.resumeReading()
    process()
  }

  private func process() {
    while !isAnswering, !isFinished, !stream.isClosed {
      if stream.queuedBytes > Self.highWater {
        isHeldBack = true
        return stream.pauseReading()
      }
      do throws(HTTPFault) {
        guard let event = try parser.next() else { return waitForMore() }
        switch event {
        case .expectsContinue: stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        case .request(let request): answer(request)
        }
      } catch {
        refuse(error)
      }
    }
  }

  /// What the client owes, and so which clock runs. A clock starts when the debt changes, not when a byte comes.
  private enum Owed { case head, body, nextRequest }

  private func waitForMore() {
    if stream.hasPeerFinished { return stream.closeAfterDrain() }
    if parser.isMidBody {
      wait(for: .body, server.config.bodyTimeout)
    } else if parser.isMidRequest {
      wait(for: .head, server.config.headTimeout)
    } else if server.isDraining {
      stream.closeAfterDrain()
    }
  }

  private func wait(for debt: Owed, _ timeout: Duration) {
    guard owed != debt else { return }
    owed = debt
    deadline = server.now() + timeout
  }

  private func refuse(_ fault: HTTPFault) {
    let error = APIError(fault.status, "bad-http", "The request was refused: \(fault.reason).")
    isFinished = true
    let response = HTTPResponse.problem(error, requestID: server.nextRequestID().description)
    send(response, keepAlive: false, isHead: parser.isHead)
  }

  // MARK: Answering

  private func answer(_ request: HTTPRequest) {
    var request = request
    let base = server.config.basePath
    if !base.isEmpty, request.path.hasPrefix(base + "/") { request.path.removeFirst(base.count) }
    if request.path == "*" { return respond(Self.aboutServer, to: request) }
    isAnswering = true
    let id = server.nextRequestID()
    do throws(APIError) {
      let (route, values) = try server.router.find(request.method, request.path)
      let caller = try server.authorise(request, route.access, peer)
      let context = RequestContext(
        request: request, caller: caller, path: values, client: client(of: request), requestID: id)
      switch route.handler {
      case .now(let handler): reply(try handler(context), to: context)
      case .later(let handler): LoopActor.begin { await self.answerLater(handler, context) }
      }
    } catch {
      respond(.problem(error, requestID: id.description), to: request)
    }
  }

  /// What `OPTIONS *` is answered with (RFC 9110 §9.3.7).
  private static let aboutServer: HTTPResponse = {
    var response = HTTPResponse(status: 204)
    response.headers.append(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
    return response
  }()

  private func answerLater(
    _ handler: @LoopActor @Sendable (RequestContext) async throws(APIError) -> HTTPReply, _ context: RequestContext
  ) async {
    do throws(APIError) {
      reply(try await handler(context), to: context)
    } catch {
      if error.status == 500 { server.onFault(context.requestID.description, error.message) }
      respond(.problem(error, requestID: context.requestID.description), to: context.request)
    }
    process()
  }

  private func client(of request: HTTPRequest) -> String {
    guard server.config.trustedProxies.contains(peer), let real = request.header("x-real-ip") else { return peer }
    return real
  }

  private func reply(_ reply: HTTPReply, to context: RequestContext) {
    switch reply {
    case .response(var response):
      response.allowance = context.caller?.allowance
      respond(response, to: context.request)
    case .takeOver(let head, let take): handOver(head, take)
    }
  }

  private func respond(_ response: HTTPResponse, to request: HTTPRequest) {
    let keepAlive = request.wantsKeepAlive && !server.isDraining
    var response = response
    // A client of HTTP/1.0 closes unless it is told (RFC 9112 §9.3).
    if keepAlive, request.isHTTP10 { response.headers.append(("Connection", "keep-alive")) }
    send(response, keepAlive: keepAlive, isHead: request.method == "HEAD")
    isAnswering = false
    isFinished = !keepAlive
    (owed, deadline) = (.nextRequest, server.now() + server.config.idleTimeout)
    if !isHeldBack { stream.resumeReading() }
  }

  private func send(_ response: HTTPResponse, keepAlive: Bool, isHead: Bool) {
    server.onRequest(response.status)
    stream.write(response.encoded(keepAlive: keepAlive, isHead: isHead, date: server.date()))
    if !keepAlive { stream.closeAfterDrain() }
  }

  private func handOver(_ head: [UInt8], _ take: @LoopActor (Stream, [UInt8]) -> Void) {
    isFinished = true
    server.onRequest(head.starts(with: "HTTP/1.1 101".utf8) ? 101 : 200)
    stream.write(head)
    stream.onBytes = { _ in }
    stream.onEnd = { _ in }
    stream.onPeerFinished = nil
    stream.onDrained = {}
    server.forget(self)
    take(stream, parser.takeRest())
  }

  // MARK: Ending

  /// Called by the sweep once the deadline has passed. While we are the ones who owe, nobody is late.
  func timeOut() {
    if isAnswering { return }
    if stream.queuedBytes > 0, stream.queuedBytes < queuedAtDeadline {
      // It still reads what it is owed, slowly.
      (queuedAtDeadline, deadline) = (stream.queuedBytes, server.now() + server.config.idleTimeout)
      return
    }
    guard parser.isMidRequest, !isFinished else { return stream.close() }
    refuse(HTTPFault(status: 408, reason: "it did not arrive in time"))
  }

  func closeIfIdle() { if !isAnswering, !parser.isMidRequest { stream.closeAfterDrain() } }
}
