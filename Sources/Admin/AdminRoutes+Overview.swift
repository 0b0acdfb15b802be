// How the agent is: its health with remedies, its own cost, its errors, its configuration, what it keeps.

internal import Basics
internal import HTTP
internal import Health
internal import Identity
internal import JSON
internal import Log
internal import Loop

extension AdminRoutes {
  var overviewRoutes: [Route] {
    [
      route(
        "GET", "/overview", "Links, conditions, and the agent's own cost", Self.see, gives: AdminSchema.overview,
        overview),
      route(
        "GET", "/health", "Every condition with its detail, and the loss ledger", Self.see,
        gives: AdminSchema.healthDetail, healthDetail),
      route(
        "POST", "/links/{name}/reconnect", "Close a link and begin it anew", Self.change, status: 202,
        gives: AdminSchema.accepted, reconnect),
      route(
        "GET", "/errors", "Warnings and errors since the start, newest first", Self.see,
        parameters: [
          .init("level", "string", "error or warning"), .init("text", "string", "Part of the line, its keys included"),
        ], gives: AdminSchema.errors, errors),
      route(
        "GET", "/config", "Every setting and who set it; secrets are redacted", Self.see, gives: AdminSchema.config,
        config),
      route(
        "GET", "/retention", "What the journal keeps, and what would go", Self.see, gives: AdminSchema.retention,
        retention),
      route("POST", "/retention/prune", "Apply retention now", Self.change, gives: AdminSchema.pruned, prune),
    ]
  }

  private func overview(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    let (usage, figures) = (ports.usage(), await ports.figures())
    return Self.object { json in
      json.field("version", ports.version)
      json.field("status", health.status)
      writeLinks(to: &json)
      writeConditions(to: &json)
      json.field("resident_bytes", usage.residentBytes)
      json.field("cpu_seconds", usage.cpuSeconds)
      json.field("threads", usage.threads)
      json.field("uptime_seconds", usage.uptimeSeconds)
      json.field("head", figures?.head)
      json.field("journal_bytes", figures.map { Int64($0.bytes) })
      json.key("counters")
      json.object { json in
        for (name, value) in ports.counters() {
          json.key(name)
          json.value(value)
        }
      }
    }
  }

  private func writeLinks(to json: inout JSONWriter) {
    json.key("links")
    json.array { json in
      for link in health.links {
        json.object { json in
          json.field("name", link.name)
          json.field("state", link.state.rawValue)
          json.field("since", link.since)
          json.field("code", link.code)
        }
      }
    }
  }

  private func writeConditions(to json: inout JSONWriter) {
    json.key("conditions")
    json.array { json in
      for raised in health.conditions { HealthBoard.write(raised, to: &json, detailed: true) }
    }
  }

  private func healthDetail(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    let figures = await ports.figures()
    var losses = JSONWriter()
    await ports.losses(&losses)
    return Self.object { json in
      json.field("status", health.status)
      writeConditions(to: &json)
      json.field("head", figures?.head)
      json.field("oldest", figures?.oldest)
      json.key("losses")
      json.raw(losses.bytes)
    }
  }

  private func reconnect(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    let (caller, name, visitor) = (try caller(context), context.path["name"] ?? "", visitor(context))
    guard ports.reconnect(name) else { throw .notFound("link") }
    let note = AuditNote(
      actor: visitor.name, action: "link.reconnect", target: name, address: visitor.address)
    try await Self.storing { try await identity.audit.append(note, of: caller.tenant) }
    return .response(.json(status: 202) { json in json.object { $0.field("status", "accepted") } })
  }

  // MARK: Errors

  private func errors(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    let level = context.parameter("level")
    guard [nil, "error", "warning"].contains(level) else { throw .badField("level", "expected error or warning") }
    let wanted = context.parameter("text")?.asciiLowercased
    let records = Log.recent.reversed().filter { record in
      (level.map { $0 == record.level.name } ?? true) && (wanted.map { Self.text(record).contains($0) } ?? true)
    }
    return Self.object { json in
      json.key("data")
      json.array { json in for record in records.prefix(200) { Self.write(record, to: &json) } }
      json.key("groups")
      json.array { json in
        for group in Self.groups(records) {
          json.object { json in
            json.field("text", group.text)
            json.field("level", group.level)
            json.field("count", group.count)
            json.field("first", group.first)
            json.field("last", group.last)
          }
        }
      }
    }
  }

  private static func text(_ record: LogRecord) -> String {
    ([record.text] + record.fields.map { "\($0.name)=\($0.value)" }).joined(separator: " ").asciiLowercased
  }

  private static func write(_ record: LogRecord, to json: inout JSONWriter) {
    json.object { json in
      json.field("at", record.at)
      json.field("level", record.level.name)
      json.field("text", record.text)
      json.key("fields")
      json.object { json in
        for (name, value) in record.fields {
          json.key(name)
          json.value(value)
        }
      }
    }
  }

  private struct Group {
    let text: String
    let level: String
    var count: Int
    var first: Timestamp
    let last: Timestamp
  }

  /// The same sentence is the same trouble; newest first.
  private static func groups(_ records: [LogRecord]) -> [Group] {
    var groups: [Group] = []
    for record in records {
      if let index = groups.firstIndex(where: { $0.text == record.text && $0.level == record.level.name }) {
        groups[index].count += 1
        groups[index].first = record.at
      } else {
        groups.append(
          Group(text: record.text, level: record.level.name, count: 1, first: record.at, last: record.at))
      }
    }
    return groups
  }

  // MARK: Settings and retention

  private func config(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    return .response(
      .json { json in
        json.object { json in
          json.key("data")
          json.array { json in
            for setting in ports.settings {
              json.object { json in
                json.field("name", setting.name)
                json.field("value", setting.value)
                json.field("origin", setting.origin)
              }
            }
          }
        }
      })
  }

  private static let journalUnreadable = APIError.unavailable(
    "journal-unreadable", "The journal cannot be read now.", retryAfter: 5)

  private func retention(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    guard let figures = await ports.figures() else { throw Self.journalUnreadable }
    return Self.object { json in
      json.field("head", figures.head)
      json.field("oldest", figures.oldest)
      json.field("journal_bytes", figures.bytes)
      json.field("open_calls", figures.openCalls)
      json.field("retention_days", figures.retentionDays)
      json.field("retention_mib", figures.retentionMiB)
      json.field("prunable", figures.prunable)
    }
  }

  private func prune(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    try wholeAgent(context)
    let (caller, visitor) = (try caller(context), visitor(context))
    guard let gone = await ports.prune() else {
      throw .unavailable("journal-not-writable", "The journal cannot write now.", retryAfter: 5)
    }
    let note = AuditNote(
      actor: visitor.name, action: "journal.pruned", target: "\(gone) entries", address: visitor.address)
    try await Self.storing { try await identity.audit.append(note, of: caller.tenant) }
    return .response(.json { json in json.object { $0.field("removed", gone) } })
  }
}
