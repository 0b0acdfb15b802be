// sidetone keys: API keys, made and ended.

internal import Basics
internal import JSON
internal import Loop

extension Sidetone {
  static let keys = Command(
    name: "keys", summary: "make, list, rotate and revoke API keys",
    usage:
      "keys create --name NAME [--kind relay|app] [--scopes A,B] [--expires TIME] | list [--json] | rotate ID [--overlap HOURS] | revoke ID | sign [--end-sessions]  [--tenant NAME] [--config FILE]",
    options: [
      .value("name"), .value("kind"), .value("scopes"), .value("expires"), .value("overlap"), .flag("end-sessions"),
      .flag("json"), .value("tenant"), .value("config"),
    ]
  ) { arguments in
    let desk = try StateDesk(arguments)
    switch try arguments.operand(0, "create, list, rotate, revoke or sign") {
    case "create": showOnce(try await create(desk, arguments), desk, arguments)
    case "list": try await listKeys(desk, isJSON: arguments.has("json"))
    case "rotate": showOnce(try await rotate(desk, arguments), desk, arguments)
    case "revoke":
      _ = try await desk.ask("DELETE", "/admin/api/keys/\(try arguments.operand(1, "ID"))")
      Files.print("revoked")
    case "sign":
      _ = try await desk.ask("POST", "/admin/api/signing-keys") {
        $0.field("end_sessions", arguments.has("end-sessions"))
      }
      Files.print("sessions are signed with a new key")
    default: throw UsageError(description: "expected create, list, rotate, revoke or sign")
    }
    return Exit.ok
  }

  @LoopActor private static func create(_ desk: StateDesk, _ arguments: Arguments) async throws -> JSONValue {
    guard let name = arguments["name"] else { throw UsageError(description: "--name is missing") }
    return try await desk.ask("POST", "/admin/api/keys") { json in
      json.field("name", name)
      if let kind = arguments["kind"] { json.field("kind", kind) }
      if let scopes = arguments["scopes"] {
        json.key("scopes")
        json.array { json in for scope in scopes.split(separator: ",") { json.value(String(scope).trimmed) } }
      }
      if let expires = arguments["expires"] { json.field("expires_at", expires) }
    }
  }

  @LoopActor private static func rotate(_ desk: StateDesk, _ arguments: Arguments) async throws -> JSONValue {
    let overlap = try arguments.decimal("overlap", default: 24)
    return try await desk.ask("POST", "/admin/api/keys/\(try arguments.operand(1, "ID"))/rotate") {
      $0.field("overlap_hours", overlap)
    }
  }

  @LoopActor private static func showOnce(_ made: JSONValue, _ desk: StateDesk, _ arguments: Arguments) {
    if arguments.has("json") { return desk.show(made) }
    Files.print(made.said("key"))
    Files.print("Keep it now: it is not shown again. Id \(made.said("id")).", to: 2)
  }

  @LoopActor private static func listKeys(_ desk: StateDesk, isJSON: Bool) async throws {
    let found = try await desk.ask("GET", "/admin/api/keys")
    desk.list(found["data"]?.array ?? [], isJSON: isJSON) { key in
      let scopes = key["scopes"]?.array?.compactMap(\.string).joined(separator: ",") ?? ""
      let state = key["revoked_at"]?.string.map { "revoked \($0)" } ?? "active"
      return "\(key.said("id"))  \(key.said("hint"))  \(key.said("kind"))  \(state)  \(scopes)  \(key.said("name"))"
    }
  }
}
