// The shapes of the bodies about destinations.

internal import HTTP
internal import SinkKit

enum UpstreamSchema {
  private static let maybeTime = Schema.nullable(.string)
  private static let maybeText = Schema.nullable(.string)
  private static let texts = Schema.array(.string)

  private static func whole(_ members: [(String, Schema)]) -> Schema { .object(members, required: members.map(\.0)) }
  private static func list(_ item: Schema) -> Schema { whole([("data", .array(item))]) }

  private static let settings: [(String, Schema)] = [
    ("body", .oneOf(DestinationRecord.BodyForm.allCases.map(\.rawValue))), ("types", texts), ("dids", texts),
    ("queues", texts), ("concurrency", .integer), ("in_flight_limit", .integer), ("batch_size", .integer),
    ("rate_per_sec", .nullable(.integer)), ("gzip", .boolean), ("heartbeat", .boolean), ("timeout_secs", .integer),
  ]

  static let change = Schema.object([("name", .string), ("url", .string)] + settings, required: [])
  static let new = Schema.object(
    [("name", .string), ("url", .string), ("from", .string)] + settings, required: ["name", "url"])

  private static let members: [(String, Schema)] =
    [
      ("id", .string), ("name", .string), ("type", .oneOf(DestinationRecord.Kind.allCases.map(\.rawValue))),
      ("origin", .oneOf(["api", "file"])), ("url", .string),
    ] + settings + [
      ("state", .oneOf(["active", "paused", "gone"])), ("state_since", .string), ("state_reason", .string),
      ("health", .string), ("waits_seconds", .nullable(.integer)), ("position", .integer), ("lag", .integer),
      ("in_flight", .integer), ("held", .integer),
      ("set_aside", .integer), ("accepted", .integer), ("last_accepted_at", maybeTime), ("last_failure_at", maybeTime),
      ("last_failure", maybeText), ("replay_until", .nullable(.integer)), ("secret_version", .integer),
      ("previous_secret_until", maybeTime), ("created_at", .string), ("updated_at", .string),
      ("minutes", .array(whole([("at", .string), ("accepted", .integer), ("failed", .integer)]))),
    ]

  static let destination = Schema.object(members + [("secret", .string)], required: members.map(\.0))
  static let destinations = list(destination)
  static let rotation = Schema.object([("overlap_hours", .number)], required: [])
  static let test = whole([
    ("event_id", .string), ("outcome", .string), ("status", .nullable(.integer)), ("reason", .string),
  ])
  static let replay = Schema.object(
    [
      ("from", .string), ("until", .string), ("types", texts), ("ids", texts), ("status", .oneOf(["all", "aside"])),
    ], required: [])
  static let replayed = Schema.object(
    [("count", .nullable(.integer)), ("until", .nullable(.integer))], required: ["count", "until"])
  static let deliveries = list(
    whole([
      ("position", .integer), ("event_id", .string), ("type", .string), ("state", .oneOf(["held", "aside"])),
      ("attempts", .integer), ("next_at", maybeTime), ("reason", .string), ("since", .string),
    ]))
  static let log = Schema.object(
    [("data", .array(.anyObject)), ("next", .nullable(.integer))], required: ["data", "next"])
  static let letGo = Schema.object([("positions", .array(.integer))], required: [])
  static let count = whole([("count", .integer)])
}
