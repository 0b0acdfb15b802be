// The shapes of the administrator's bodies, for the OpenAPI document and the test that holds answers against it.

internal import HTTP
internal import Identity

enum AdminSchema {
  private static let time = Schema.string
  private static let maybeTime = Schema.nullable(.string)
  private static let scope = Schema.oneOf(Scope.allCases.map(\.rawValue))
  private static let role = Schema.oneOf(Role.allCases.map(\.rawValue))

  /// An object of which every member is always there.
  private static func whole(_ members: [(String, Schema)]) -> Schema { .object(members, required: members.map(\.0)) }
  private static func list(_ item: Schema, _ more: [(String, Schema)] = []) -> Schema {
    whole([("data", .array(item))] + more)
  }

  // MARK: Session and own account

  static let claim = whole([("token", .string), ("username", .string), ("password", .string)])
  static let login = Schema.object(
    [("username", .string), ("password", .string), ("code", .nullable(.string))], required: ["username", "password"])
  static let session = Schema.object(
    [
      ("id", .string), ("username", .string), ("role", role), ("tenant_id", .string), ("rights", .array(scope)),
      ("must_change_password", .boolean), ("totp", .boolean), ("whole_agent", .boolean), ("csrf_token", .string),
      ("expires_at", time),
      ("token", .string),
    ], required: ["id", "username", "role", "tenant_id", "rights", "csrf_token", "expires_at"])
  static let passwordChange = whole([("password", .string), ("new_password", .string)])
  static let totp = whole([("secret", .string), ("address", .string)])
  static let totpConfirmation = whole([("secret", .string), ("code", .string)])
  static let totpCode = whole([("code", .string)])
  static let ownKey = whole([("key", .string)])

  // MARK: Keys

  private static let keyMembers: [(String, Schema)] = [
    ("id", .string), ("kind", .oneOf(StoredKey.Kind.allCases.map(\.rawValue))), ("name", .string), ("hint", .string),
    ("scopes", .array(scope)), ("created_at", time), ("expires_at", maybeTime), ("revoked_at", maybeTime),
    ("last_used_at", maybeTime),
  ]
  static let keys = list(whole(keyMembers))
  static let key = whole(keyMembers + [("key", .string)])
  static let newKey = Schema.object(
    [
      ("name", .string), ("kind", .oneOf(["relay", "app"])), ("scopes", .array(scope)),
      ("expires_at", .nullable(.string)),
    ], required: ["name"])
  static let rotation = Schema.object([("overlap_hours", .number)], required: [])

  // MARK: People

  static let user = whole([
    ("id", .string), ("username", .string), ("role", role), ("totp", .boolean), ("must_change_password", .boolean),
    ("disabled_at", maybeTime), ("created_at", time), ("last_login_at", maybeTime),
  ])
  static let users = list(user)
  static let newUser = Schema.object(
    [("username", .string), ("password", .string), ("role", role), ("must_change_password", .boolean)],
    required: ["username", "password", "role"])
  static let userChange = Schema.object(
    [("role", role), ("disabled", .boolean), ("password", .string)], required: [])
  static let audit = list(
    whole([
      ("number", .integer), ("at", time), ("actor", .string), ("action", .string), ("target", .string),
      ("address", .string), ("detail", .string),
    ]), [("next", .nullable(.string))])
  static let auditVerdict = Schema.object(
    [("whole", .boolean), ("entries", .integer), ("broken_at", .integer)], required: ["whole"])
  static let claimToken = whole([("token", .string)])
  static let tenant = whole([("id", .string), ("name", .string), ("created_at", time)])
  static let tenants = list(tenant)
  static let newTenant = whole([("name", .string)])
  static let signingKeys = Schema.object([("end_sessions", .boolean)], required: [])

  // MARK: The agent

  private static let link = whole([
    ("name", .string), ("state", .oneOf(["connecting", "up", "down"])), ("since", time), ("code", .nullable(.string)),
  ])
  private static let condition = whole([
    ("code", .string), ("title", .string), ("severity", .oneOf(["warning", "failure"])), ("since", time),
    ("remedy", .string), ("detail", .nullable(.string)),
  ])
  static let overview = whole([
    ("version", .string), ("status", .oneOf(["ok", "degraded", "down"])), ("links", .array(link)),
    ("conditions", .array(condition)), ("resident_bytes", .integer), ("cpu_seconds", .number), ("threads", .integer),
    ("uptime_seconds", .number), ("head", .nullable(.integer)), ("journal_bytes", .nullable(.integer)),
    ("counters", .anyObject),
  ])
  static let healthDetail = whole([
    ("status", .string), ("conditions", .array(condition)), ("head", .nullable(.integer)),
    ("oldest", .nullable(.integer)),
    (
      "losses",
      .array(
        whole([
          ("at", time), ("reason", .string), ("count", .integer), ("detail", .string), ("events", .array(.string)),
        ]))
    ),
  ])
  static let accepted = whole([("status", .string)])
  static let errors = list(
    whole([("at", time), ("level", .string), ("text", .string), ("fields", .anyObject)]),
    [
      (
        "groups",
        .array(
          whole([("text", .string), ("level", .string), ("count", .integer), ("first", time), ("last", time)]))
      )
    ])
  static let config = list(whole([("name", .string), ("value", .string), ("origin", .string)]))
  static let retention = whole([
    ("head", .integer), ("oldest", .integer), ("journal_bytes", .integer), ("open_calls", .integer),
    ("retention_days", .integer), ("retention_mib", .integer), ("prunable", .integer),
  ])
  static let pruned = whole([("removed", .integer)])
  static let trace = whole([
    ("events", .array(.anyObject)), ("frames", .array(whole([("at", time), ("text", .string)]))),
  ])
  static let statistics = list(
    whole([("start", time), ("total", .integer), ("answered", .integer), ("waits", .array(.integer))]))
}
