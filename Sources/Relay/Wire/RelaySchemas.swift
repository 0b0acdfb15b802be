// The shapes of the relay's bodies, for the OpenAPI document. The wire itself is written by `Call+JSON` and `Dialect`.

internal import CallModel
internal import HTTP

enum RelaySchema {
  static let party = Schema.nullable(
    .object([("kind", .oneOf(Party.Kind.allCases.map(\.rawValue))), ("id", .string)], required: ["kind", "id"]))
  static let number = Schema.nullable(
    .object([("raw", .string), ("e164", .nullable(.string)), ("name", .nullable(.string))], required: ["raw"]))
  static let leg = Schema.object(
    [
      ("id", .string), ("channel", .string), ("role", .oneOf(LegRole.allCases.map(\.rawValue))), ("party", party),
      ("number", number), ("state", .oneOf(LegState.allCases.map(\.rawValue))), ("ringing_at", .nullable(.string)),
      ("answered_at", .nullable(.string)), ("ended_at", .nullable(.string)), ("reason", .nullable(.string)),
      ("holding", .boolean),
    ], required: ["id", "role", "party", "state"])
  private static let callMembers: [(String, Schema)] =
    [
      ("id", .string), ("direction", .oneOf(Direction.allCases.map(\.rawValue))),
      ("state", .oneOf(CallState.allCases.map(\.rawValue))), ("from", number), ("to", number),
      ("did", .nullable(.string)),
      ("queue", .nullable(.string)), ("legs", .array(leg)), ("started_at", .string),
      ("answered_at", .nullable(.string)),
      ("ended_at", .nullable(.string)), ("disposition", .nullable(.oneOf(Disposition.allCases.map(\.rawValue)))),
      ("reason", .nullable(.string)), ("answered_by", party), ("ended_by", party), ("ring_seconds", .nullable(.number)),
      ("talk_seconds", .nullable(.number)), ("merged_into", .nullable(.string)), ("external_ids", .anyObject),
    ]
  static let call = Schema.object(callMembers, required: ["id", "direction", "state", "legs", "started_at"])
  static let event = Schema.object(
    [
      ("specversion", .string), ("id", .string), ("source", .string), ("type", .string), ("subject", .string),
      ("time", .string), ("datacontenttype", .string), ("sequence", .string), ("tenant", .string), ("data", .anyObject),
    ], required: ["specversion", "id", "source", "type", "sequence", "data"])
  static let events = Schema.object(
    [("data", .array(event)), ("next", .nullable(.string))], required: ["data", "next"])
  static let history = Schema.object(
    [("data", .array(row)), ("next", .nullable(.string))], required: ["data", "next"])
  private static let row = Schema.object(
    callMembers + [("origin", .oneOf(["journal", "cdr", "both"]))],
    required: ["id", "direction", "state", "legs", "started_at", "origin"])
  static let activeCalls = Schema.object(
    [("calls", .array(call)), ("position", .integer)], required: ["calls", "position"])
  static let accepted = Schema.object([("id", .string), ("status", .string)], required: ["status"])
  static let originate = Schema.object(
    [("from", .string), ("to", .string), ("caller_id", .string), ("timeout_secs", .integer)], required: ["from", "to"])
  static let transfer = Schema.object(
    [("to", .string), ("kind", .oneOf(["blind", "attended"])), ("consult_call_id", .string)], required: ["kind"])
  static let divert = Schema.object([("to", .string)], required: ["to"])
  static let route = Schema.object([("to", .string), ("timeout_secs", .integer)], required: ["to"])
  static let park = Schema.object([("slot", .string)], required: [])
  static let ticket = Schema.object(
    [("ticket", .string), ("expires_in", .integer)], required: ["ticket", "expires_in"])
  static let health = Schema.object(
    [
      ("status", .oneOf(["ok", "degraded", "down"])), ("since", .string), ("links", .array(.anyObject)),
      ("conditions", .array(.anyObject)), ("version", .string),
    ], required: ["status", "since", "links", "version"])
  static let capabilities = Schema.object([("capabilities", .array(.anyObject))], required: ["capabilities"])
}
