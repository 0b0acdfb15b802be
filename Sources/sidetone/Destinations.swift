// sidetone destinations, resend: where events go, and sending them again.

internal import Basics
internal import JSON
internal import Loop

extension Sidetone {
  static let destinations = Command(
    name: "destinations", summary: "where events go: add, list, pause, resume, test, look into and remove",
    usage:
      "destinations list | add NAME --url URL [--types A,B] [--queues A,B] [--dids A,B] [--body cloudevents|binary|relay|cti] [--from now|oldest|TIME] | show NAME | pause NAME | resume NAME | test NAME | rotate NAME [--overlap HOURS] | log NAME [--limit N] | aside NAME | remove NAME  [--json] [--tenant NAME] [--config FILE]",
    options: [
      .value("url"), .value("types"), .value("queues"), .value("dids"), .value("body"), .value("from"),
      .value("overlap"), .value("limit"), .flag("json"), .value("tenant"), .value("config"),
    ]
  ) { arguments in
    let desk = try StateDesk(arguments)
    switch try arguments.operand(0, "list, add, show, pause, resume, test, rotate, log, aside or remove") {
    case "list": try await listDestinations(desk, isJSON: arguments.has("json"))
    case "add": try await addDestination(desk, arguments)
    case "show": desk.show(try await desk.ask("GET", try path(arguments)))
    case "pause": try await act("pause", desk, arguments)
    case "resume": try await act("resume", desk, arguments)
    case "test": return try await testDestination(desk, arguments)
    case "rotate":
      let overlap = try arguments.decimal("overlap", default: 24)
      let made = try await desk.ask("POST", try path(arguments, "/rotate-secret")) {
        $0.field("overlap_hours", overlap)
      }
      showSecret(made, desk, arguments)
    case "log": try await showLog(desk, arguments)
    case "aside": try await showAside(desk, arguments)
    case "remove":
      _ = try await desk.ask("DELETE", try path(arguments))
      Files.print("removed; what it had not been given is noted in the loss ledger")
    default:
      throw UsageError(description: "expected list, add, show, pause, resume, test, rotate, log, aside or remove")
    }
    return Exit.ok
  }

  static let resend = Command(
    name: "resend", summary: "send events of the past to a destination again",
    usage:
      "resend --to NAME (--from TIME|POSITION [--until TIME|POSITION] [--types A,B] | --ids A,B | --aside) [--json] [--tenant NAME] [--config FILE]",
    options: [
      .value("to"), .value("from"), .value("until"), .value("types"), .value("ids"), .flag("aside"), .flag("json"),
      .value("tenant"), .value("config"),
    ], takesOperands: false
  ) { arguments in
    let desk = try StateDesk(arguments)
    guard let name = arguments["to"] else { throw UsageError(description: "--to is missing") }
    let ways = [arguments.has("from"), arguments.has("ids"), arguments.has("aside")].filter { $0 }.count
    guard ways == 1 else { throw UsageError(description: "give one of --from, --ids and --aside") }
    let answer = try await desk.ask("POST", "/api/destinations/\(name.percentEncoded)/replay") { json in
      for bound in ["from", "until"] {
        guard let text = arguments[bound] else { continue }
        json.key(bound)
        if let position = Int64(text) { json.value(position) } else { json.value(text) }
      }
      write("types", arguments, to: &json)
      write("ids", arguments, to: &json)
      if arguments.has("aside") { json.field("status", "aside") }
    }
    if arguments.has("json") {
      desk.show(answer)
    } else if let count = answer["count"]?.int {
      Files.print("\(count) events are on their way to \(name)")
    } else {
      Files.print("everything up to position \(answer.said("until")) is being looked through for \(name)")
    }
    return Exit.ok
  }

  // MARK: Parts

  private static func path(_ arguments: Arguments, _ part: String = "") throws -> String {
    "/api/destinations/\(try arguments.operand(1, "NAME").percentEncoded)" + part
  }

  private static func write(_ name: String, _ arguments: Arguments, to json: inout JSONWriter) {
    guard let text = arguments[name] else { return }
    json.key(name)
    json.array { json in for part in text.split(separator: ",") { json.value(String(part).trimmed) } }
  }

  @LoopActor private static func act(_ what: String, _ desk: StateDesk, _ arguments: Arguments) async throws {
    let now = try await desk.ask("POST", try path(arguments, "/" + what))
    if arguments.has("json") { return desk.show(now) }
    Files.print("\(now.said("name")) is \(now.said("state")); \(now.said("lag")) events wait for it")
  }

  @LoopActor private static func addDestination(_ desk: StateDesk, _ arguments: Arguments) async throws {
    let name = try arguments.operand(1, "NAME")
    guard let url = arguments["url"] else { throw UsageError(description: "--url is missing") }
    let made = try await desk.ask("POST", "/api/destinations") { json in
      json.field("name", name)
      json.field("url", url)
      for key in ["body", "from"] {
        guard let text = arguments[key] else { continue }
        json.key(key)
        json.value(text)
      }
      for key in ["types", "queues", "dids"] { write(key, arguments, to: &json) }
    }
    showSecret(made, desk, arguments)
  }

  @LoopActor private static func showSecret(_ made: JSONValue, _ desk: StateDesk, _ arguments: Arguments) {
    if arguments.has("json") { return desk.show(made) }
    Files.print(made.said("secret"))
    Files.print("Deliveries to \(made.said("name")) are signed with it; keep it now, it is not shown again.", to: 2)
  }

  @LoopActor private static func listDestinations(_ desk: StateDesk, isJSON: Bool) async throws {
    let found = try await desk.ask("GET", "/api/destinations")
    desk.list(found["data"]?.array ?? [], isJSON: isJSON) { one in
      let waiting = (one["lag"]?.int ?? 0) + (one["held"]?.int ?? 0)
      return
        "\(one.said("name"))  \(one.said("type"))  \(one.said("health"))  \(waiting) waiting  \(one.said("set_aside")) set aside  \(one.said("accepted")) acknowledged  \(one.said("url"))"
    }
  }

  @LoopActor private static func testDestination(_ desk: StateDesk, _ arguments: Arguments) async throws -> Int32 {
    let answer = try await desk.ask("POST", try path(arguments, "/test"))
    if arguments.has("json") {
      desk.show(answer)
    } else {
      Files.print("\(answer.said("outcome")) \(answer.said("status")) \(answer.said("reason"))".trimmed)
    }
    return answer["outcome"]?.string == "accepted" ? Exit.ok : Exit.broken
  }

  @LoopActor private static func showLog(_ desk: StateDesk, _ arguments: Arguments) async throws {
    let limit = try arguments.number("limit", default: 50)
    let found = try await desk.ask("GET", try path(arguments, "/log?limit=\(limit)"))
    desk.list(found["data"]?.array ?? [], isJSON: arguments.has("json")) { row in
      "\(row.said("at"))  \(row.said("position"))  \(row.said("type"))  \(row.said("outcome"))  \(row.said("status"))  \(row.said("milliseconds")) ms  \(row.said("reason"))"
    }
  }

  @LoopActor private static func showAside(_ desk: StateDesk, _ arguments: Arguments) async throws {
    let found = try await desk.ask("GET", try path(arguments, "/deliveries?state=aside&limit=1000"))
    desk.list(found["data"]?.array ?? [], isJSON: arguments.has("json")) { row in
      "\(row.said("position"))  \(row.said("event_id"))  \(row.said("type"))  \(row.said("attempts")) attempts  \(row.said("reason"))"
    }
  }
}
