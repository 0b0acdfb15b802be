// Everybody who may knock: two tenants, people of every role, keys of every kind and scope.

import Basics
import Foundation
import JSON
import Stagecraft
import TestSupport

/// One way of asking, and what it may.
struct Credential {
  let name: String
  let headers: [(String, String)]
  let rights: Set<String>
  var isPerson = false
}

final class Cast {
  static let password = "violet-Tram-91"
  static let roles: [(String, Set<String>)] = [
    ("admin", Set(scopes)),
    (
      "supervisor",
      ["calls:read", "history:read", "events:read", "calls:control", "metrics:read", "destinations:read", "admin:read"]
    ),
    ("agent", ["calls:read", "history:read", "events:read", "calls:control"]),
    ("viewer", ["calls:read", "history:read", "events:read", "metrics:read", "destinations:read", "admin:read"]),
  ]
  static let scopes = [
    "calls:read", "history:read", "events:read", "calls:control", "metrics:read", "destinations:write",
    "destinations:read",
    "admin:read",
    "admin",
  ]

  let stage: Stage
  let agent: RunningProgram
  private(set) var credentials = [Credential(name: "nobody", headers: [], rights: [])]

  init(rate: Double = 1, environment: [String: String] = [:], log: String? = nil) throws {
    stage = try Stage(rate: rate)
    if let log { _ = FileManager.default.createFile(atPath: log, contents: nil) }
    agent = try stage.startAgent(environment: environment, log: log ?? "/dev/null")
    try Self.password.write(toFile: stage.folder + "/password", atomically: true, encoding: .utf8)
    _ = try tell(["tenants", "create", "globex"])
  }

  func tell(_ words: [String]) throws -> String {
    let done = try RunningProgram.run(words + ["--config", stage.configPath])
    guard done.code == 0 else { throw Refused(words: words, code: done.code) }
    return done.text
  }

  struct Refused: Error {
    let words: [String]
    let code: Int32
  }

  func addPerson(_ name: String, _ role: String, tenant: String? = nil) throws {
    let more = tenant.map { ["--tenant", $0] } ?? []
    _ = try tell(["users", "create", name, "--role", role, "--password-file", stage.folder + "/password"] + more)
  }

  /// A session's token.
  func signIn(_ name: String, password: String = Cast.password) throws -> String {
    let body = "{\"username\":\"\(name)\",\"password\":\"\(password)\"}"
    let answer = Client.get(agent.port, "/admin/api/login", method: "POST", body: body)
    return try JSONValue(parsing: Array(answer.body.utf8))["token"]?.string ?? "none (\(answer.status))"
  }

  func addKey(_ scopes: [String], kind: String = "relay", tenant: String? = nil) throws -> String {
    let more = tenant.map { ["--tenant", $0] } ?? []
    let words = ["keys", "create", "--name", "test", "--kind", kind, "--scopes", scopes.joined(separator: ",")]
    return try tell(words + more).split(separator: "\n").first.map(String.init) ?? ""
  }

  /// A credential of every kind, each with what it may.
  func enter() throws {
    for (role, rights) in Self.roles {
      try addPerson("the-" + role, role)
      let token = try signIn("the-" + role)
      credentials.append(
        Credential(name: role, headers: [("Authorization", "Bearer \(token)")], rights: rights, isPerson: true))
      let key = Client.get(agent.port, "/admin/api/own-key", headers: [("Authorization", "Bearer \(token)")])
      let text = try JSONValue(parsing: Array(key.body.utf8))["key"]?.string ?? ""
      credentials.append(Credential(name: role + "'s key", headers: [("X-API-Key", text)], rights: rights))
    }
    for scope in Self.scopes {
      let implied = ["admin": ["admin:read", "destinations:read"], "admin:read": ["destinations:read"]]
      let rights = Set([scope] + (implied[scope] ?? (scope == "destinations:write" ? ["destinations:read"] : [])))
      let key = try addKey([scope])
      credentials.append(
        Credential(name: "key of " + scope, headers: [("Authorization", "Bearer \(key)")], rights: rights))
    }
    let app = try addKey(["calls:read"], kind: "app")
    credentials.append(Credential(name: "app", headers: [("x-app-api-key", app)], rights: ["calls:read"]))
    credentials.append(Credential(name: "app as bearer", headers: [("Authorization", "Bearer \(app)")], rights: []))
    credentials.append(Credential(name: "wrong", headers: [("Authorization", "Bearer sk_0")], rights: []))
  }
}

/// An operation as the served document describes it.
struct Operation {
  let method: String
  let path: String
  let json: JSONValue

  /// Everything that the agent says it can do.
  static func all(_ port: Int) throws -> [Operation] {
    let document = try JSONValue(parsing: Array(Client.get(port, "/api/openapi.json").body.utf8))
    return (document["paths"]?.members ?? []).flatMap { path, operations in
      (operations.members ?? []).map { Operation(method: $0.0.uppercased(), path: path, json: $0.1) }
    }
  }

  private var ways: [JSONValue] { json["security"]?.array ?? [] }
  var isOpen: Bool { ways.isEmpty || ways.contains(.object([])) }
  var right: String? { ways.first?["key"]?.array?.first?.string }
  var isForPeople: Bool { right == nil && ways.contains { $0["session"] != nil } }

  func isAllowed(_ credential: Credential) -> Bool {
    if isOpen { return true }
    if isForPeople { return credential.isPerson }
    return right.map { credential.rights.contains($0) } ?? false
  }

  /// The path with `value` in the place of its names.
  func target(_ value: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix("{") ? value : String($0) }.joined(
      separator: "/")
  }

  var schema: JSONValue? {
    json["responses"]?.members?.first { $0.0.hasPrefix("2") }?.1["content"]?["application/json"]?["schema"]
  }
}
