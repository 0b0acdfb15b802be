// Calls looked at closely, and from afar: one call's timeline, the history as a table, hours as figures.

internal import Basics
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension AdminRoutes {
  var callRoutes: [Route] {
    [
      route(
        "GET", "/calls/{id}/trace", "A call's events and, while in memory, the PBX's messages", Self.see,
        gives: AdminSchema.trace, trace),
      Route(
        "GET", "/admin/api/calls.csv", "The history as a table, newest first", tag: "admin",
        access: .right(Scope.historyRead.rawValue), parameters: Self.filters, gives: .text("text/csv"),
        handler: .later(table)),
      Route(
        "GET", "/admin/api/statistics", "Ended calls by the hour", tag: "admin",
        access: .right(Scope.historyRead.rawValue),
        parameters: [.init("hours", "integer", "This many hours back, 1 to 168; 24 unless told")],
        gives: AdminSchema.statistics, handler: .later(statistics)),
    ]
  }

  private static let filters: [Route.Parameter] = [
    .init("start", "string", "From this time or date on"),
    .init("end", "string", "Up to this time, or to the end of this date"),
    .init("number", "string", "Any party's number"), .init("queue", "string", "The queue's name"),
    .init("direction", "string", "inbound, outbound or internal"), .init("disposition", "string", "How it ended"),
    .init("limit", "integer", "At most this many, 1 to 1000"),
  ]

  private func trace(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (caller, id) = (try caller(context), try id(context, "call"))
    guard let response = await ports.trace(id, caller.tenant) else { throw .notFound("call") }
    return .response(response)
  }

  // MARK: The table

  private static let columns = [
    "started_at", "direction", "from", "to", "did", "queue", "disposition", "reason", "answered_by", "ended_by",
    "ring_seconds", "talk_seconds", "id",
  ]

  private func table(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    var lines = [Self.columns.joined(separator: ",")]
    for row in try await ports.history(context) {
      guard let call = try? JSONValue(parsing: row) else { continue }
      lines.append(Self.columns.map { Self.cell(call[$0]) }.joined(separator: ","))
    }
    var response = HTTPResponse.text(lines.joined(separator: "\r\n") + "\r\n", contentType: "text/csv; charset=utf-8")
    response.headers.append(("Content-Disposition", "attachment; filename=\"calls.csv\""))
    return .response(response)
  }

  /// A number or a party is named by what it is called; the rest is plain.
  private static func cell(_ value: JSONValue?) -> String {
    switch value {
    case .string(let text): quoted(text)
    case .int(let number): String(number)
    case .double(let number): String(number)
    case .object: quoted(value?["raw"]?.string ?? value?["id"]?.string ?? "")
    case .null, .bool, .array, nil: ""
    }
  }

  /// RFC 4180. What a spreadsheet would take for a formula gets an apostrophe before it: callers choose their names.
  private static func quoted(_ text: String) -> String {
    let isFormula = text.first.map { "=@\t\r".contains($0) } ?? false
    let isSigned = text.first.map { "+-".contains($0) } ?? false
    let isNumber = text.dropFirst().utf8.allSatisfy { (48...57).contains($0) }
    let safe = isFormula || isSigned && !isNumber ? "'" + text : text
    guard safe.contains(where: { ",\"\r\n".contains($0) }) else { return safe }
    return "\"" + safe.replacing("\"", with: "\"\"") + "\""
  }

  // MARK: Figures

  private func statistics(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let tenant = try caller(context).tenant
    let hours = try context.integer("hours", default: 24, in: 1...168)
    guard !counting.isTaken else {
      throw .unavailable("busy", "Somebody else's figures are being counted.", retryAfter: 1)
    }
    await counting.begin()
    defer { counting.end() }
    let thisHour = Timestamp.now().microseconds / 3_600_000_000
    var found: [HourOfCalls] = []
    // One short question an hour, so that what the PBX says goes on being written between them.
    for hour in (thisHour - Int64(hours) + 1)...thisHour {
      guard let one = await ports.hour(tenant, Timestamp(microseconds: hour * 3_600_000_000)) else {
        throw .unavailable("journal-unreadable", "The journal cannot be read now.", retryAfter: 5)
      }
      found.append(one)
    }
    let rows = found
    return Self.list(rows) { Self.write($0, to: &$1) }
  }

  private static func write(_ hour: HourOfCalls, to json: inout JSONWriter) {
    json.object { json in
      json.field("start", hour.start)
      json.field("total", hour.total)
      json.field("answered", hour.answered)
      json.key("waits")
      json.array { json in for count in hour.waits { json.value(count) } }
    }
  }
}
