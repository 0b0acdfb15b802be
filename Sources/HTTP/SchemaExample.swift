// An example for every body of the OpenAPI document, made from its schema: what a member is called says what it looks
// like.

internal import JSON

extension Schema {
  /// Writes a value of this shape.
  /// - Parameter name: the member it stands for.
  func writeExample(as name: String = "", to json: inout JSONWriter) {
    switch self {
    case .string, .text: json.value(Self.text(name))
    case .integer: json.value(Self.numbers[name] ?? 1)
    case .number: json.value(Self.spans[name] ?? 1.5)
    case .boolean: json.value(!["totp", "disabled", "must_change_password", "holding"].contains(name))
    case .nullable(let inner): inner.writeExample(as: name, to: &json)
    case .oneOf(let values): json.value(values.first ?? "")
    case .anyObject: json.object { _ in }
    case .array(let item): json.array { json in item.writeExample(as: name, to: &json) }
    case .object(let members, _):
      json.object { json in
        for (name, schema) in members {
          json.key(name)
          schema.writeExample(as: name, to: &json)
        }
      }
    }
  }

  private static func text(_ name: String) -> String {
    if let known = texts[name] { return known }
    if name.hasSuffix("_at") || ["since", "at", "start", "first", "last", "time"].contains(name) {
      return "2026-11-20T12:00:05.123Z"
    }
    return name.hasSuffix("id") ? "01a1fdde-e5f4-8f22-bd47-f4b37199f1f1" : name.isEmpty ? "text" : name
  }

  private static let texts = [
    "username": "ada", "password": "violet-Tram-91", "new_password": "violet-Tram-92", "code": "492039",
    "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "hint": "sk_3a767…38ff", "key": "sk_3a767c5fbe0552591e48…",
    "name": "wallboard", "from": "201", "to": "202", "raw": "+15557712035", "e164": "+15557712035", "slot": "701",
    "caller_id": "Front desk <201>", "channel": "PJSIP/202-0000002a", "did": "5550101", "queue": "sales",
    "specversion": "1.0", "source": "sidetone://pbx.example/asterisk", "type": "call.started",
    "subject": "call/01a1fdde-e5f4-8f22-bd47-f4b37199f1f1", "datacontenttype": "application/json",
    "sequence": "00000000000000001234", "address": "10.0.0.7", "actor": "ada", "action": "key.created",
    "remedy": "Free space on the disk of [agent] data_dir.", "version": "0.1.0",
  ]
  private static let numbers: [String: Int] = ["position": 1234, "head": 1234, "oldest": 1, "expires_in": 30]
  private static let spans: [String: Double] = ["overlap_hours": 24, "ring_seconds": 2, "talk_seconds": 10.5]
}
