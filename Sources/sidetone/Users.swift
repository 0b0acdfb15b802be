// sidetone users, tenants: who may sign in, and whose they are. A password never stands among the arguments: it is read
// from a file, or made up and shown once.

internal import Basics
internal import Crypto
internal import JSON
internal import Loop

extension Sidetone {
  static let users = Command(
    name: "users", summary: "add, list and remove the people who may sign in; claim the first administrator",
    usage:
      "users claim | create NAME --role admin|supervisor|agent|viewer [--password-file FILE] | list [--json] | password NAME [--password-file FILE] | role NAME ROLE | disable NAME | enable NAME | remove NAME  [--tenant NAME] [--config FILE]",
    options: [.value("role"), .value("password-file"), .flag("json"), .value("tenant"), .value("config")]
  ) { arguments in
    let desk = try StateDesk(arguments)
    switch try arguments.operand(0, "claim, create, list, password, role, disable, enable or remove") {
    case "claim": try await claim(desk)
    case "create": try await createUser(desk, arguments)
    case "list": try await listUsers(desk, isJSON: arguments.has("json"))
    case "password": try await setPassword(desk, arguments)
    case "role": try await change(desk, arguments) { $0.field("role", try arguments.operand(2, "ROLE")) }
    case "disable": try await change(desk, arguments) { $0.field("disabled", true) }
    case "enable": try await change(desk, arguments) { $0.field("disabled", false) }
    case "remove":
      _ = try await desk.ask("DELETE", "/admin/api/users/\(try await id(desk, arguments))")
      Files.print("removed")
    default: throw UsageError(description: "expected claim, create, list, password, role, disable, enable or remove")
    }
    return Exit.ok
  }

  @LoopActor private static func claim(_ desk: StateDesk) async throws {
    let made = try await desk.ask("POST", "/admin/api/claims")
    Files.print(made.said("token"))
    Files.print("Open /admin/#/claim within a day and give it; a token printed before is void.", to: 2)
  }

  @LoopActor private static func createUser(_ desk: StateDesk, _ arguments: Arguments) async throws {
    let name = try arguments.operand(1, "NAME")
    guard let role = arguments["role"] else { throw UsageError(description: "--role is missing") }
    let (password, isGiven) = try password(arguments)
    _ = try await desk.ask("POST", "/admin/api/users") { json in
      json.field("username", name)
      json.field("role", role)
      json.field("password", password.reveal())
      json.field("must_change_password", !isGiven)
    }
    say("added \(name) as \(role)", password, isGiven)
  }

  @LoopActor private static func setPassword(_ desk: StateDesk, _ arguments: Arguments) async throws {
    let (password, isGiven) = try password(arguments)
    try await change(desk, arguments) { $0.field("password", password.reveal()) }
    say("changed; their sessions have ended", password, isGiven)
  }

  private static func password(_ arguments: Arguments) throws -> (Secret<String>, isGiven: Bool) {
    guard let path = arguments["password-file"] else { return (Secret(Hex.encode(Random.bytes(10))), false) }
    return (Secret(String(decoding: try Files.read(path, limit: 4096), as: UTF8.self).trimmed), true)
  }

  private static func say(_ text: String, _ password: Secret<String>, _ isGiven: Bool) {
    if !isGiven { Files.print(password.reveal()) }
    Files.print(
      isGiven ? text : "\(text); the password above is shown once and must be changed at the first login", to: 2)
  }

  @LoopActor private static func id(_ desk: StateDesk, _ arguments: Arguments) async throws -> String {
    let name = try arguments.operand(1, "NAME")
    let found = try await desk.ask("GET", "/admin/api/users")
    guard let user = found["data"]?.array?.first(where: { $0.said("username") == name }) else {
      throw UsageError(description: "there is no user \(name)")
    }
    return user.said("id")
  }

  @LoopActor private static func change(
    _ desk: StateDesk, _ arguments: Arguments, _ write: (inout JSONWriter) throws -> Void
  ) async throws {
    var body = JSONWriter()
    try body.object { try write(&$0) }
    let change = body.bytes
    _ = try await desk.ask("PATCH", "/admin/api/users/\(try await id(desk, arguments))") { $0.members(of: change) }
    Files.print("changed", to: 2)
  }

  @LoopActor private static func listUsers(_ desk: StateDesk, isJSON: Bool) async throws {
    let found = try await desk.ask("GET", "/admin/api/users")
    desk.list(found["data"]?.array ?? [], isJSON: isJSON) { user in
      let state = user["disabled_at"]?.string.map { "disabled \($0)" } ?? "active"
      return
        "\(user.said("username"))  \(user.said("role"))  \(state)  last here \(user["last_login_at"]?.string ?? "never")"
    }
  }

  // MARK: Tenants

  static let tenants = Command(
    name: "tenants", summary: "add and list tenants", usage: "tenants create NAME | list [--json]  [--config FILE]",
    options: [.flag("json"), .value("config")]
  ) { arguments in
    let desk = try StateDesk(arguments)
    switch try arguments.operand(0, "create or list") {
    case "create":
      let name = try arguments.operand(1, "NAME")
      Files.print(try await desk.ask("POST", "/admin/api/tenants") { $0.field("name", name) }.said("id"))
    case "list":
      let found = try await desk.ask("GET", "/admin/api/tenants")
      desk.list(found["data"]?.array ?? [], isJSON: arguments.has("json")) { "\($0.said("id"))  \($0.said("name"))" }
    default: throw UsageError(description: "expected create or list")
    }
    return Exit.ok
  }
}
