// The agent about itself: health, metrics, the API's own description, keys, and the trace of a call.

internal import AsteriskSource
internal import Basics
internal import CallModel
internal import HTTP
internal import Health
internal import Identity
internal import JSON
internal import Journal
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
  let keys: KeyRing
  private let summary = HealthSummary()
  let frames: @LoopActor @Sendable () -> FrameLog?

  var routes: [Route] {
    var all = healthRoutes + keyRoutes
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
      Route(
        "GET", "/admin/api/health", "Every condition with its detail, and the loss ledger", tag: "admin",
        access: .right(Scope.admin.rawValue), gives: .anyObject, handler: .later(healthDetail)),
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
    return .response(.text(metrics.exposition, contentType: "text/plain; version=0.0.4; charset=utf-8"))
  }

  private func healthDetail(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let losses = (try? await journal.losses()) ?? []
    return .response(
      .json { json in
        json.object { json in
          json.field("status", health.status)
          json.key("conditions")
          json.array { json in for raised in health.conditions { HealthBoard.write(raised, to: &json, detailed: true) }
          }
          json.field("head", journal.head.value)
          json.field("oldest", journal.oldest.value)
          json.key("losses")
          json.array { json in
            for loss in losses {
              json.object { json in
                json.field("at", loss.at)
                json.field("reason", loss.reason)
                json.field("count", loss.count)
                json.field("detail", loss.detail)
              }
            }
          }
        }
      })
  }

  // MARK: Keys

  private var keyRoutes: [Route] {
    let admin = Access.right(Scope.admin.rawValue)
    let takes = Schema.object(
      [("name", .string), ("scopes", .array(.string)), ("expires_at", .string)], required: ["name"])
    return [
      Route(
        "GET", "/admin/api/keys", "All API keys, without their text", tag: "admin", access: admin, gives: .anyObject,
        handler: .now(listKeys)),
      Route(
        "POST", "/admin/api/keys", "Make a key; its text is shown this once", tag: "admin", access: admin, takes: takes,
        status: 201, gives: .anyObject, handler: .later(createKey)),
      Route(
        "DELETE", "/admin/api/keys/{id}", "Revoke a key and end its connections", tag: "admin", access: admin,
        parameters: [.init("id", "string", "The key")], status: 204, handler: .later(revokeKey)),
      Route(
        "GET", "/admin/api/calls/{id}/trace", "A call's events and, while in memory, the PBX's messages", tag: "admin",
        access: admin, parameters: [.init("id", "string", "The call")], gives: .anyObject, handler: .later(trace)),
    ]
  }

  private func listKeys(_ context: RequestContext) throws(APIError) -> HTTPReply {
    let tenant = context.caller?.tenant
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in for key in keys.all where key.tenant == tenant { Self.write(key, nil, to: &json) } }
        }
      })
  }

  private static func write(_ key: StoredKey, _ text: Secret<String>?, to json: inout JSONWriter) {
    json.object { json in
      json.field("id", key.id)
      json.field("name", key.name)
      json.field("hint", key.hint)
      json.key("scopes")
      json.array { json in for scope in key.scopes { json.value(scope) } }
      json.field("created_at", key.createdAt)
      json.field("expires_at", key.expiresAt)
      json.field("revoked_at", key.revokedAt)
      if let text { json.field("key", text.reveal()) }
    }
  }

  private func createKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let body = try context.json()
    guard let name = body["name"]?.string else { throw .badField("name", "expected text") }
    let expiresAt = body["expires_at"]?.string.flatMap { Timestamp(rfc3339: $0) }
    if let given = body["expires_at"], given != .null, expiresAt == nil {
      throw .badField("expires_at", "expected an RFC 3339 time")
    }
    do {
      let tenant = context.caller?.tenant ?? TenantID.standard.uuid
      let (key, text) = try await keys.create(
        name: name, scopes: try scopes(body), tenant: tenant, expiresAt: expiresAt)
      return .response(.json(status: 201) { Self.write(key, text, to: &$0) })
    } catch let error as KeyError {
      throw .badField("name", error.description)
    } catch let error as APIError {
      throw error
    } catch {
      throw .unavailable("state-unavailable", "The state store cannot be used now.", retryAfter: 5)
    }
  }

  private func scopes(_ body: JSONValue) throws(APIError) -> [Scope] {
    guard let given = body["scopes"], given != .null else { return Scope.standard }
    let names = given.array?.compactMap(\.string) ?? []
    let scopes = names.compactMap(Scope.init(rawValue:))
    guard !scopes.isEmpty, scopes.count == given.array?.count else {
      throw .badField("scopes", "expected some of \(Scope.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return scopes
  }

  private func revokeKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    guard let id = context.path["id"].flatMap({ UUID($0) }), let tenant = context.caller?.tenant else {
      throw .notFound("key")
    }
    guard let done = try? await keys.revoke(id, of: tenant) else {
      throw .unavailable("state-unavailable", "The state store cannot be used now.", retryAfter: 5)
    }
    guard done else { throw .notFound("key") }
    return .response(HTTPResponse(status: 204))
  }

  // MARK: Trace

  private func trace(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    guard let id = context.path["id"].flatMap({ UUID($0) }).map(CallID.init),
      let entries = try? await journal.entries(of: id), let last = entries.last,
      last.tenant.uuid == context.caller?.tenant
    else { throw .notFound("call") }
    let names = Self.channelNames(last)
    return .response(
      .json { json in
        json.object { json in
          json.key("events")
          json.array { json in for entry in entries { entry.writeNative(to: &json) } }
          json.key("frames")
          json.array { json in
            for message in frames()?.messages(naming: names) ?? [] {
              json.object { json in
                json.field("at", message.at)
                json.field("text", message.text)
              }
            }
          }
        }
      })
  }

  private static func channelNames(_ entry: JournalEntry) -> Set<String> {
    guard let call = entry.parsedCall else { return [] }
    return Set(call.legs.map(\.id) + [call.externalIDs["linkedid"]].compactMap(\.self))
  }
}
