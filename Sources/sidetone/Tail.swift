// sidetone tail: calls as they happen, in the terminal.

internal import Agent
internal import Basics
internal import CallModel
internal import JSON
internal import Loop
internal import WebSocket

extension Sidetone {
  static let tail = Command(
    name: "tail", summary: "follow events in the terminal", usage: "tail [--after POSITION] [--json] [--config FILE]",
    options: [.value("after"), .flag("json"), .value("config")], takesOperands: false
  ) { arguments in
    let client = ControlClient(try AgentConfig.load(arguments))
    let target = "/relay/ws" + (arguments["after"].map { "?after=\($0)" } ?? "")
    let session = try await client.webSocket(target, protocols: ["cloudevents.json"])
    let printer = EventPrinter(isJSON: arguments.has("json"))
    return await follow(session, printer)
  }

  @LoopActor private static func follow(_ session: WebSocketSession, _ printer: EventPrinter) async -> Int32 {
    let signals = Signals([2, 15]) { _ in session.close(1000, "goodbye") }
    return await withCheckedContinuation { continuation in
      session.receive { message in
        // `tail | head` has seen enough.
        if case .text(let bytes) = message, !printer.print(bytes) { session.close(1000, "goodbye") }
      } onEnd: { code, reason in
        _ = signals
        if code != 1000 { Files.print("the agent ended the feed: \(code) \(reason)", to: 2) }
        continuation.resume(returning: code == 1000 || code == 1001 ? Exit.ok : Exit.unreachable)
      }
    }
  }
}

/// An event as a line for people.
struct EventPrinter: Sendable {
  let isJSON: Bool

  /// False where nobody reads it any more.
  @discardableResult
  func print(_ bytes: [UInt8]) -> Bool {
    guard !isJSON, let json = try? JSONValue(parsing: bytes) else { return Files.print(bytes + [10]) }
    return Files.print(Self.line(json))
  }

  static func line(_ event: JSONValue) -> String {
    let type = event["type"]?.string ?? "?"
    let data = event["data"] ?? .null
    let time = event["time"]?.string.map { String($0.dropFirst(11).prefix(12)) } ?? ""
    let head = "\(time)  \(mark(type)) \(pad(type.hasPrefix("call.") ? String(type.dropFirst(5)) : type, 20))"
    guard let call = data["call"], let id = call["id"]?.string else { return head + rest(type, data) }
    let parties = "\(call["from"]?["raw"]?.string ?? "—") → \(call["to"]?["raw"]?.string ?? "—")"
    return head + "\(String(id.suffix(6)))  \(pad(parties, 30)) \(rest(type, data))"
  }

  private static func mark(_ type: String) -> String {
    switch type {
    case "call.ring", "call.leg.ringing": "◌"
    case "call.started", "call.leg.answered": "●"
    case "call.ended": "○"
    case "call.held", "call.parked", "call.queued": "‖"
    case "call.transferred", "call.retrieved", "call.resumed", "call.dequeued": "↷"
    case let type where type.hasPrefix("link."): "⇄"
    default: "·"
    }
  }

  private static func rest(_ type: String, _ data: JSONValue) -> String {
    var words: [String] = []
    if let leg = data["leg"]?["party"] { words.append(party(leg)) }
    for name in ["queue", "slot", "kind", "reason", "mailbox", "extension", "agent", "status"] {
      if let text = data[name]?.string { words.append(text) }
    }
    if let from = data["from"], let to = data["to"], from["id"] != nil { words.append("\(party(from)) → \(party(to))") }
    if type == "call.started", let by = data["call"]?["answered_by"] { words.append("by \(party(by))") }
    if type == "call.ended", let call = data["call"] {
      words.append(call["disposition"]?.string ?? "")
      if let talk = call["talk_seconds"]?.double, talk > 0 { words.append("\((talk * 10).rounded() / 10) s") }
    }
    if data["inferred"]?.bool == true { words.append("(inferred)") }
    return words.joined(separator: " ")
  }

  private static func party(_ json: JSONValue) -> String { json["id"]?.string ?? "—" }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
