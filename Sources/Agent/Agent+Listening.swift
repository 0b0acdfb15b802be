// The server with every room's routes.

internal import Admin
internal import Basics
internal import Glibc
internal import HTTP
internal import Identity
internal import Journal
internal import Log
internal import Loop
internal import Metrics
internal import Relay
internal import SinkKit

@LoopActor
extension Agent {
  func listen(_ journal: Journal, _ identity: IdentityRoom, _ relay: RelayService, _ further: [Route]) throws {
    let gate = Gate(
      identity: identity, allowsAnonymousRead: config.relay.anonymousRead,
      requestsPerMinute: config.relay.requestsPerMinute,
      queryCredentialPaths: RelayRoutes.queryCredentialPaths)
    let routes = RelayRoutes(
      service: relay, history: { [desk = HistoryDesk(journal: journal, database: database)] in await desk.page($0) },
      issueTicket: { [unowned identity] caller in identity.tickets.issue(to: caller) })
    let router = Router(routes.routes)
    let desk = AdminDesk(
      config: config, journal: journal, metrics: metrics, relay: routes, source: { [weak self] in self?.source },
      applyRetention: { [weak self] in await self?.applyRetention() }, startedAt: startedAt)
    let admin = AdminRoutes(identity: identity, health: health, ports: desk.ports)
    let own = AgentRoutes(
      health: health, metrics: metrics, journal: journal, completeness: completeness,
      figures: { [weak self] tenant in self?.upstream?.destinations.figures(of: tenant) ?? [] })
    for route in own.routes + admin.routes + further { router.add(route) }
    AgentRoutes.complete(router)
    let server = HTTPServer(router: router, config: config.http)
    server.authorise = { request, access, peer throws(APIError) in try gate.authorise(request, access, peer: peer) }
    observe(server, relay)
    port = try server.listen(at: Self.inheritedListener ?? config.listen)
    try server.listen(at: .unix(path: config.controlSocket), isOperator: true)
    self.server = server
  }

  private func observe(_ server: HTTPServer, _ relay: RelayService) {
    let requests = metrics.counter("sidetone_http_requests_total", "Requests answered")
    let failures = metrics.counter("sidetone_http_errors_total", "Requests answered with a status of 500 or more")
    server.onRequest = { status in
      requests.add()
      if status >= 500 { failures.add() }
    }
    server.onFault = { id, reason in Log.error("a request failed", [.requestID: id, .errorText: reason]) }
  }

  static func hostName() -> String {
    ((try? Files.read("/etc/hostname", limit: 256)).map { String(decoding: $0, as: UTF8.self).trimmed }) ?? "localhost"
  }

  /// The socket that systemd listens on for us, if it does.
  private static var inheritedListener: Listener.Place? {
    guard Environment["LISTEN_PID"].flatMap({ Int32($0) }) == getpid(),
      let count = Environment["LISTEN_FDS"].flatMap({ Int($0) }), count >= 1
    else { return nil }
    return .inherited(3)
  }
}
