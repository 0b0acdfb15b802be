// A route is declared once; router, authorisation and /api/openapi.json are all made from the declaration.

package import Basics
package import JSON
internal import Loop

/// Who may call a route.
package enum Access: Sendable, Equatable {
  /// Anybody, without credentials.
  case open
  /// A caller with this right.
  case right(String)
  /// A peer on the loopback without credentials; others need the right.
  case loopbackOr(String)
  /// A person who signed in, whatever else they may.
  case signedIn
  /// The operator, over the socket in the runtime folder.
  case operatorOnly
}

/// Who is asking, as the credential said.
package struct Caller: Sendable {
  package enum Kind: String, Sendable { case key, user, operatorSocket, anonymous }

  package let kind: Kind
  package let id: UUID?
  package let tenant: UUID
  package let rights: Set<String>
  /// For the audit log: the user's name, or the key's and its hint.
  package var name = ""
  /// When the credential ends by itself; connections that it opened end with it.
  package var validUntil: Timestamp?
  /// Of a person's session, which may end by itself.
  package var sessionID: UUID?
  /// Told to the caller with every answer.
  package var allowance: Allowance?

  package init(
    kind: Kind, id: UUID?, tenant: UUID, rights: Set<String>, name: String = "", validUntil: Timestamp? = nil,
    sessionID: UUID? = nil
  ) {
    (self.kind, self.id, self.tenant, self.rights) = (kind, id, tenant, rights)
    (self.name, self.validUntil, self.sessionID) = (name, validUntil, sessionID)
  }
}

/// How much more a caller may ask (draft-ietf-httpapi-ratelimit-headers-03).
package struct Allowance: Sendable, Equatable {
  package let limit: Int
  package let remaining: Int
  /// Seconds until a request is allowed again; 0 while one is.
  package let resetSeconds: Int

  package init(limit: Int, remaining: Int, resetSeconds: Int) {
    (self.limit, self.remaining, self.resetSeconds) = (limit, remaining, resetSeconds)
  }
}

/// Names a request in answers and in the log; made into text only when somebody asks.
package struct RequestID: Sendable, CustomStringConvertible {
  let instance: String
  let number: UInt64
  package var description: String { "\(instance)-\(number)" }
}

package struct RequestContext: Sendable {
  package let request: HTTPRequest
  package let caller: Caller?
  /// The values of the path's `{names}`.
  package let path: [String: String]
  /// The address of the client, taken from a trusted proxy's `X-Real-IP` where there is one.
  package let client: String
  package let requestID: RequestID

  package init(request: HTTPRequest, caller: Caller?, path: [String: String], client: String, requestID: RequestID) {
    (self.request, self.caller, self.path, self.client, self.requestID) = (request, caller, path, client, requestID)
  }

  package func parameter(_ name: String) -> String? { request.parameters[name] }

  /// A whole number from the query. Refuses anything else by name.
  package func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws(APIError) -> Int {
    guard let text = parameter(name) else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw .badField(name, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The body as JSON, refused with 415 or 400 when it is not.
  package func json() throws(APIError) -> JSONValue {
    let type = request.header("content-type")?.split(separator: ";").first.map { String($0).trimmed.asciiLowercased }
    guard type == "application/json" else {
      throw APIError(415, "unsupported-media-type", "Send the body as application/json.")
    }
    do {
      return try JSONValue(parsing: request.body)
    } catch {
      throw APIError(400, "bad-json", "The body is not JSON: \(error).")
    }
  }
}

package struct Route: Sendable {
  package enum Handler: Sendable {
    /// Answers at once; costs no task.
    case now(@LoopActor @Sendable (RequestContext) throws(APIError) -> HTTPReply)
    case later(@LoopActor @Sendable (RequestContext) async throws(APIError) -> HTTPReply)
  }

  /// A parameter of the path or the query, for the reader of the OpenAPI document.
  package struct Parameter: Sendable {
    package let name: String
    package let type: String
    package let help: String
    package init(_ name: String, _ type: String = "string", _ help: String) {
      (self.name, self.type, self.help) = (name, type, help)
    }
  }

  package var method: String
  package var path: String
  package var summary: String
  package var tag: String
  package var access: Access
  package var parameters: [Parameter] = []
  package var requestSchema: Schema?
  package var responseStatus = 200
  package var responseSchema: Schema?
  package var handler: Handler

  package init(
    _ method: String, _ path: String, _ summary: String, tag: String, access: Access, parameters: [Parameter] = [],
    takes: Schema? = nil, status: Int = 200, gives: Schema? = nil, handler: Handler
  ) {
    (self.method, self.path, self.summary, self.tag, self.access) = (method, path, summary, tag, access)
    (self.parameters, self.requestSchema, self.responseStatus) = (parameters, takes, status)
    (self.responseSchema, self.handler) = (gives, handler)
  }
}

/// The shape of a JSON body, as JSON Schema 2020-12 says it.
package indirect enum Schema: Sendable {
  case string, integer, number, boolean
  case nullable(Schema)
  case array(Schema)
  case object([(String, Schema)], required: [String])
  case anyObject
  case oneOf([String])
  case text(String)

  func write(to json: inout JSONWriter) {
    json.object { json in
      switch self {
      case .string: json.field("type", "string")
      case .integer: json.field("type", "integer")
      case .number: json.field("type", "number")
      case .boolean: json.field("type", "boolean")
      case .anyObject: json.field("type", "object")
      case .text(let type): json.field("contentMediaType", type)
      case .oneOf(let values):
        json.field("type", "string")
        json.key("enum")
        json.array { json in for value in values { json.value(value) } }
      case .nullable(let inner):
        json.key("anyOf")
        json.array { json in
          inner.write(to: &json)
          json.object { $0.field("type", "null") }
        }
      case .array(let item):
        json.field("type", "array")
        json.key("items")
        item.write(to: &json)
      case .object(let members, let required): Self.write(members, required, to: &json)
      }
    }
  }

  private static func write(_ members: [(String, Schema)], _ required: [String], to json: inout JSONWriter) {
    json.field("type", "object")
    json.key("properties")
    json.object { json in
      for (name, schema) in members {
        json.key(name)
        schema.write(to: &json)
      }
    }
    json.key("required")
    json.array { json in for name in required { json.value(name) } }
  }
}
