// The agent about itself: health, metrics, the API's own description, keys, and the trace of a call.

internal import AsteriskSource
internal import Basics
internal import CallModel
internal import HTTP
internal import Health
internal import Identity
internal import JSON
internal import Journal
internal import Log
internal import Loop
internal import Metrics
internal import Store

/// The public health document, rendered again only when the board changed.
@LoopActor
private final class HealthSummary {
  private var revision: UInt64 = 0
  private var kept = HTTPResponse()

  func response(_ health: HealthBoard) -> HTTPResponse {
    if revision != health.revision {
      revision = health.revision
      kept = .json { health.writeSummary(to: &$0, version: Agent.version) }
    }
    return kept
  }
}

@LoopActor
struct AgentRoutes {
  let health: HealthBoard
  let metrics: MetricRegistry
  let journal: Journal
  let completeness: Completeness?
  /// Of a tenant's destinations, or of all.
  let figures: @LoopActor (_ tenant: UUID?) -> [MetricFamily]
  private let summary = HealthSummary()

  var routes: [Route] {
    var all = healthRoutes + [Self.logLevel]
    if let completeness { all += [Self.lastComparison(completeness), Self.reconcile(completeness)] }
    all.append(
      Route(
        "GET", "/api/openapi.json", "This document", tag: "health", access: .open, gives: .anyObject,
        handler: .now { _ in
          .response(HTTPResponse())
        }))
    return all
  }

  /// The document lists every route, so it is made when all are known.
  static func complete(_ router: Router) {
    let document = OpenAPI.document(router.routes, version: Agent.version)
    router.replaceHandler("GET", "/api/openapi.json") { _ in
      .response(HTTPResponse(contentType: "application/json", body: document))
    }
  }

  private static func lastComparison(_ completeness: Completeness) -> Route {
    Route(
      "GET", "/relay/reconcile", "The last comparison with the PBX's records; empty before the first", tag: "calls",
      access: .right(Scope.historyRead.rawValue), gives: .anyObject,
      handler: .now { _ in
        .response(
          .json { json in if let last = completeness.last { last.write(to: &json) } else { json.object { _ in } } })
      })
  }

  private static func reconcile(_ completeness: Completeness) -> Route {
    Route(
      "POST", "/relay/reconcile", "Compare what was heard with the PBX's records, and repair", tag: "calls",
      access: .right(Scope.admin.rawValue), parameters: [.init("seconds", "integer", "How far back")],
      gives: .anyObject,
      handler: .later { context throws(APIError) in
        let seconds = try context.integer("seconds", default: 900, in: 60...86_400)
        guard let report = try? await completeness.run(seconds: Double(seconds)) else {
          throw .unavailable("records-unreadable", "The PBX's records cannot be read now.", retryAfter: 10)
        }
        return .response(.json { report.write(to: &$0) })
      })
  }

  private static var logLevel: Route {
    Route(
      "PUT", "/admin/api/log-level", "Say more or less in the log, until the next start", tag: "admin",
      access: .operatorOnly, takes: .object([("level", .oneOf(LogLevel.allCases.map(\.name)))], required: ["level"]),
      status: 204,
      handler: .later { context throws(APIError) in
        let names = LogLevel.allCases.map(\.name).joined(separator: ", ")
        guard let level = try context.json()["level"]?.string.flatMap({ LogLevel(name: $0) }) else {
          throw .badField("level", "expected one of \(names)")
        }
        Log.set(level: level)
        return .response(HTTPResponse(status: 204))
      })
  }

  // MARK: Health

  private var healthRoutes: [Route] {
    [
      Route(
        "GET", "/relay/health", "Whether the relay works, and which links are up", tag: "health", access: .open,
        gives: Self.healthSchema, handler: .now(relayHealth)),
      Route(
        "GET", "/livez", "The loop turns", tag: "health", access: .open, gives: .text("text/plain"),
        handler: .now { _ in .response(.text("ok\n")) }),
      Route(
        "GET", "/readyz", "The journal writes and the listener is up", tag: "health", access: .open,
        parameters: [.init("verbose", "string", "Any value: say why")], gives: .text("text/plain"), handler: .now(ready)
      ),
      Route(
        "GET", "/metrics", "Counters and histograms for Prometheus", tag: "health",
        access: .loopbackOr(Scope.metricsRead.rawValue),
        gives: .text("text/plain"), handler: .now(metricsText)),
    ]
  }

  private static let healthSchema = Schema.object(
    [
      ("status", .oneOf(["ok", "degraded", "down"])), ("since", .string), ("links", .array(.anyObject)),
      ("conditions", .array(.anyObject)), ("version", .string),
    ], required: ["status", "since", "links", "version"])

  private func relayHealth(_ context: RequestContext) throws(APIError) -> HTTPReply {
    .response(summary.response(health))
  }

  private func ready(_ context: RequestContext) throws(APIError) -> HTTPReply {
    var response = HTTPResponse.text(journal.isWritable ? "ok\n" : "not ready\n")
    if !journal.isWritable { response.status = 503 }
    if context.parameter("verbose") != nil {
      let lines =
        ["journal \(journal.isWritable ? "writable" : "not writable")", "listener up"]
        + health.links.map { "link \($0.name) \($0.state.rawValue)\($0.code.map { " \($0)" } ?? "")" }
      response.body += Array((lines.joined(separator: "\n") + "\n").utf8)
    }
    return .response(response)
  }

  private func metricsText(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let accepts = context.request.list("accept")
    if accepts.contains(where: { $0.hasPrefix("application/json") }) {
      return .response(
        .json { json in
          json.object { json in
            for (name, value) in metrics.values {
              json.key(name)
              json.value(value)
            }
          }
        })
    }
    let text = metrics.exposition + figures(context.caller?.tenant).map(\.exposition).joined()
    return .response(.text(text, contentType: "text/plain; version=0.0.4; charset=utf-8"))
  }
}
