import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport
import Testing

/// Every route, asked by everybody, as the served document describes it.
@Suite(.serialized) struct RightsTests {
  private static let nothing = "01a1fdde-e5f4-4f22-bd47-f4b37199f1f1"

  @Test func noRouteAnswersWithoutRight() throws {
    let cast = try Cast()
    try cast.enter()
    // Last, since they end the key and the session that ask.
    let ending = ["/admin/api/own-key", "/admin/api/logout"]
    let operations = try Operation.all(cast.agent.port).sorted { a, b in
      (ending.firstIndex(of: a.path) ?? -1) < (ending.firstIndex(of: b.path) ?? -1)
    }
    #expect(operations.count > 60)
    var asked = 0
    for operation in operations where operation.path != "/relay/ws" {
      for credential in cast.credentials {
        let body = ["POST", "PUT", "PATCH"].contains(operation.method) ? "{}" : nil
        let status = Client.get(
          cast.agent.port, operation.target(Self.nothing), method: operation.method, body: body,
          headers: credential.headers
        ).status
        // The ways in refuse what is no credential of theirs with the same 401: an empty body is told by its 400.
        let isRefused = [401, 403].contains(status)
        let isAllowed = operation.isAllowed(credential)
        #expect(isRefused != isAllowed, "\(credential.name): \(operation.method) \(operation.path) → \(status)")
        #expect(status < 500 || status == 503, "\(credential.name): \(operation.method) \(operation.path) → \(status)")
        asked += 1
      }
    }
    print("asked \(asked) times: \(operations.count) operations × \(cast.credentials.count) credentials")
  }

  @Test func noTenantSeesOrChangesAnothersRows() throws {
    let cast = try Cast()
    try cast.addPerson("ada", "admin")
    try cast.addPerson("eve", "admin", tenant: "globex")
    let port = cast.agent.port
    let (ada, eve) = (try cast.signIn("ada"), try cast.signIn("eve"))
    _ = try cast.addKey(["calls:read"])
    func rows(_ path: String, _ token: String) throws -> [JSONValue] {
      try JSONValue(parsing: Array(Client.get(port, path, key: token).body.utf8))["data"]?.array ?? []
    }
    let theirs = try ["keys", "users"].flatMap { kind in
      try rows("/admin/api/\(kind)", ada).compactMap { row in row["id"]?.string.map { (kind, $0) } }
    }
    #expect(theirs.count >= 2)
    let place = try JSONValue(
      parsing: Array(
        Client.get(
          port, "/api/destinations", key: ada, method: "POST", body: "{\"name\":\"x\",\"url\":\"https://x.invalid/\"}"
        ).body.utf8))["id"]?.string
    let destination = try #require(place)
    #expect(!Client.get(port, "/api/destinations", key: eve).body.contains(destination))
    let calls =
      try JSONValue(
        parsing: Array(Client.get(port, "/relay/call-history", key: ada).body.utf8))["data"]?.array ?? []
    for operation in try Operation.all(port) where operation.path.contains("{id}") {
      let ids = [destination] + theirs.map(\.1) + calls.compactMap { $0["id"]?.string }
      for id in ids {
        let body =
          ["POST", "PUT", "PATCH"].contains(operation.method)
          ? "{\"role\":\"viewer\",\"to\":\"201\",\"kind\":\"blind\"}" : nil
        let status = Client.get(port, operation.target(id), key: eve, method: operation.method, body: body).status
        #expect(status == 404 || status == 503, "\(operation.method) \(operation.path) → \(status)")
      }
    }
    for path in ["/admin/api/keys", "/admin/api/users", "/admin/api/audit", "/relay/call-history", "/relay/events"] {
      let text = Client.get(port, path, key: eve).body
      for id in theirs.map(\.1) + ["\"ada\""] { #expect(!text.contains(id), "\(path) shows \(id)") }
      if path.hasPrefix("/relay") { #expect(try rows(path, eve).isEmpty) }
    }
    #expect(try rows("/admin/api/keys", ada).allSatisfy { $0["revoked_at"] == .null })
  }

  @Test func theAgentItselfIsForItsOwnAdministrators() throws {
    let cast = try Cast()
    try cast.addPerson("eve", "admin", tenant: "globex")
    let eve = try cast.signIn("eve")
    for (method, path) in [
      ("GET", "overview"), ("GET", "health"), ("GET", "errors"), ("GET", "config"), ("GET", "retention"),
      ("POST", "retention/prune"), ("POST", "links/asterisk/reconnect"),
    ] {
      let answer = Client.get(
        cast.agent.port, "/admin/api/" + path, key: eve, method: method, body: method == "POST" ? "{}" : nil)
      #expect(answer.status == 403 && answer.body.contains("not-your-tenant"), "\(path): \(answer)")
    }
  }

  @Test func nobodyPlacesCallsOnAnothersPBX() throws {
    let cast = try Cast(rate: 1)
    let theirs = try cast.addKey(["calls:control"], tenant: "globex")
    let answer = Client.get(
      cast.agent.port, "/relay/calls", key: theirs, method: "POST", body: #"{"from":"201","to":"204"}"#)
    #expect(answer.status == 403 && answer.body.contains("not-your-tenant"), "\(answer)")
  }

  @Test func whatIsMeasuredOfADestinationIsItsTenantsAlone() throws {
    let cast = try Cast(rate: 1, environment: ["SIDETONE_UPSTREAM__ALLOWED_NETWORKS": "127.0.0.0/8"])
    let ours = try cast.addKey(["metrics:read", "destinations:write"])
    let theirs = try cast.addKey(["metrics:read"], tenant: "globex")
    let made = Client.get(
      cast.agent.port, "/api/destinations", key: ours, method: "POST",
      body: #"{"type":"webhook","name":"c\\r\"m","url":"http://127.0.0.1:1/"}"#)
    #expect(made.status == 201, "\(made)")
    func measured(_ key: String) -> String {
      Client.get(cast.agent.port, "/metrics", key: key, headers: [("X-Real-IP", "8.8.8.8")]).body
    }
    #expect(measured(ours).contains(#"sidetone_destination_accepted_total{destination="c\\r\"m",tenant=""#))
    #expect(measured(theirs).contains("sidetone_events_total"))
    #expect(!measured(theirs).contains("sidetone_destination"))
  }

  @Test func nobodyHandsOutRightsThatTheyLack() throws {
    let cast = try Cast()
    let (port, narrow) = (cast.agent.port, try cast.addKey(["admin"]))
    let strong = try cast.tell(["keys", "create", "--name", "s", "--scopes", "calls:control", "--json"])
    let id = try JSONValue(parsing: Array(strong.utf8))["id"]?.string ?? ""
    try cast.addPerson("ada", "admin")
    let users = try JSONValue(parsing: Array(Client.get(port, "/admin/api/users", key: narrow).body.utf8))
    let ada = users["data"]?.array?.first?["id"]?.string ?? ""
    let person = "{\"username\":\"eve\",\"password\":\"\(Cast.password)\",\"role\":\"admin\"}"
    for (method, path, body) in [
      ("POST", "keys/\(id)/rotate", "{}"), ("POST", "users", person),
      ("PATCH", "users/\(ada)", "{\"password\":\"another-Tram-92\"}"), ("DELETE", "users/\(ada)", "{}"),
      ("POST", "keys", "{\"name\":\"x\",\"scopes\":[\"calls:control\"]}"),
    ] {
      #expect(
        Client.get(port, "/admin/api/" + path, key: narrow, method: method, body: body).status == 403, "\(path)")
    }
  }

  // MARK: Shapes

  @Test func everyAnswerHasTheShapeThatTheDocumentSays() throws {
    let cast = try Cast(rate: 20)
    try cast.addPerson("ada", "admin")
    let (port, token) = (cast.agent.port, try cast.signIn("ada"))
    let call = try someCall(port, token)
    let operations = try Operation.all(port)
    var checked: Set<String> = []
    func check(_ method: String, _ path: String, _ id: String = "", body: String? = nil, query: String = "") throws {
      let operation = try #require(operations.first { $0.method == method && $0.path == path }, "\(method) \(path)")
      let answer = Client.get(port, operation.target(id) + query, key: token, method: method, body: body)
      #expect((200..<300).contains(answer.status), "\(method) \(path) → \(answer)")
      checked.insert(method + " " + path)
      guard let schema = operation.schema else { return }
      let faults = Shape.faults(try JSONValue(parsing: Array(answer.body.utf8)), schema, at: "")
      #expect(faults.isEmpty, "\(method) \(path): \(faults.prefix(3))")
    }
    let new = "{\"username\":\"bob\",\"password\":\"\(Cast.password)\",\"role\":\"viewer\"}"
    try check("POST", "/admin/api/users", body: new)
    try check("POST", "/admin/api/keys", body: "{\"name\":\"a\",\"scopes\":[\"calls:read\"]}")
    try check("POST", "/api/destinations", body: "{\"name\":\"crm\",\"url\":\"https://crm.invalid/\"}")
    try check("PATCH", "/api/destinations/{id}", "crm", body: "{\"types\":[\"call.*\"]}")
    for act in ["pause", "resume", "test", "rotate-secret", "let-go"] {
      try check("POST", "/api/destinations/{id}/" + act, "crm")
    }
    try check("POST", "/api/destinations/{id}/replay", "crm", body: "{\"from\":1}")
    for part in ["", "/deliveries", "/log"] { try check("GET", "/api/destinations/{id}" + part, "crm") }
    try check("DELETE", "/api/destinations/{id}", "crm")
    let key = try first(port, token, "keys")
    let user = try first(port, token, "users", named: "bob")
    try check("POST", "/admin/api/keys/{id}/rotate", key, body: "{\"overlap_hours\":1}")
    try check("PATCH", "/admin/api/users/{id}", user, body: "{\"role\":\"agent\"}")
    try check("GET", "/admin/api/calls/{id}/trace", call)
    try check("POST", "/admin/api/links/{name}/reconnect", "asterisk")
    try check("POST", "/admin/api/retention/prune")
    try check("POST", "/admin/api/totp")
    try check("POST", "/admin/api/own-key")
    try check("POST", "/relay/ws-ticket")
    try check("POST", "/admin/api/login", body: "{\"username\":\"ada\",\"password\":\"\(Cast.password)\"}")
    try check("POST", "/relay/calls", body: "{\"from\":\"201\",\"to\":\"202\"}")
    for operation in operations
    where operation.method == "GET" && !operation.path.contains("{") && !operation.isOperatorOnly
      && !["/relay/ws", "/admin"].contains(operation.path)
    { try check("GET", operation.path) }
    try check("DELETE", "/admin/api/keys/{id}", key)
    try check("DELETE", "/admin/api/users/{id}", user)
    let undone = operations.map { $0.method + " " + $0.path }.filter { !checked.contains($0) }
    print("shapes checked: \(checked.count) of \(operations.count); not asked here: \(undone.joined(separator: ", "))")
  }

  @Test func everyExampleHasTheShapeOfItsSchema() throws {
    let cast = try Cast()
    var examples = 0
    for operation in try Operation.all(cast.agent.port) {
      let bodies =
        [operation.json["requestBody"]] + (operation.json["responses"]?.members ?? []).map { Optional($0.1) }
      for content in bodies.compactMap({ $0?["content"]?["application/json"] }) {
        let (example, schema) = (try #require(content["example"]), try #require(content["schema"]))
        #expect(Shape.faults(example, schema, at: "").isEmpty, "\(operation.method) \(operation.path)")
        examples += 1
      }
    }
    #expect(examples > 50)
  }

  private func someCall(_ port: Int, _ token: String) throws -> String {
    let ended = try #require(Client.event(port, key: token) { $0.contains("call.ended") })
    let subject = try JSONValue(parsing: Array(ended.utf8))["subject"]?.string
    return String(try #require(subject).dropFirst("call/".count))
  }

  private func first(_ port: Int, _ token: String, _ kind: String, named name: String? = nil) throws -> String {
    let rows = try JSONValue(parsing: Array(Client.get(port, "/admin/api/\(kind)", key: token).body.utf8))["data"]?
      .array
    return rows?.first { name == nil || $0["username"]?.string == name }?["id"]?.string ?? ""
  }
}

extension Operation {
  var isOperatorOnly: Bool { json["security"]?.array?.contains { $0["operator"] != nil } ?? false }
}

/// Holds a value against the part of JSON Schema that our document uses; a member nobody declared is a fault too.
enum Shape {
  static func faults(_ value: JSONValue, _ schema: JSONValue, at path: String) -> [String] {
    if let choices = schema["anyOf"]?.array {
      let all = choices.map { faults(value, $0, at: path) }
      return all.contains { $0.isEmpty } ? [] : all.first ?? []
    }
    if let values = schema["enum"]?.array, !values.contains(value) { return ["\(path): not of the list"] }
    switch (schema["type"]?.string, value) {
    case (nil, _), ("string", .string), ("boolean", .bool), ("integer", .int), ("null", .null), ("number", .int),
      ("number", .double):
      return []
    case ("array", .array(let items)):
      return items.enumerated().flatMap { faults($1, schema["items"] ?? .null, at: "\(path)[\($0)]") }
    case ("object", .object(let members)): return memberFaults(members, schema, path)
    default: return ["\(path): expected \(schema["type"]?.string ?? "?"), got \(value)"]
    }
  }

  private static func memberFaults(_ members: [(String, JSONValue)], _ schema: JSONValue, _ path: String) -> [String] {
    guard let declared = schema["properties"]?.members else { return [] }
    let missing = (schema["required"]?.array ?? []).compactMap(\.string).filter { name in
      !members.contains { $0.0 == name }
    }
    return missing.map { "\(path).\($0) is missing" }
      + members.flatMap { name, value in
        declared.first { $0.0 == name }.map { faults(value, $0.1, at: path + "." + name) }
          ?? ["\(path).\(name) is not declared"]
      }
  }
}
