// Every way the API refuses, as RFC 9457 problem documents with a stable code.

package import JSON

/// A refusal with a stable code. The sentence is safe to show and says what to do next.
package struct APIError: Error, Sendable {
  package var status: Int
  package var code: String
  package var message: String
  /// The fields that are wrong, and how.
  package var fields: [(name: String, reason: String)] = []
  package var retryAfter: Int?
  package var headers: [(String, String)] = []
  package var allowance: Allowance?
  /// Further members of the document.
  package var extras: [(String, JSONValue)] = []

  package init(_ status: Int, _ code: String, _ message: String) {
    (self.status, self.code, self.message) = (status, code, message)
  }

  package static func badField(_ name: String, _ reason: String) -> APIError {
    var error = APIError(400, "bad-request", "\(name): \(reason)")
    error.fields = [(name, reason)]
    return error
  }

  package static func notFound(_ what: String) -> APIError {
    APIError(404, "\(what)-not-found", "There is no such \(what).")
  }

  package static func unavailable(_ code: String, _ message: String, retryAfter: Int) -> APIError {
    var error = APIError(503, code, message)
    error.retryAfter = retryAfter
    return error
  }

  /// `success`, `error` and `message` are for reference clients, which read those names.
  package func write(to json: inout JSONWriter, requestID: String) {
    json.object { json in
      json.field("type", "about:blank")
      json.field("title", HTTPStatus.reason(status))
      json.field("status", status)
      json.field("code", code)
      json.field("detail", message)
      json.field("message", message)
      json.field("success", false)
      json.field("error", message)
      json.field("request_id", requestID)
      for (name, value) in extras {
        json.key(name)
        value.write(to: &json)
      }
      guard !fields.isEmpty else { return }
      json.key("fields")
      json.object { json in
        for field in fields {
          json.key(field.name)
          json.value(field.reason)
        }
      }
    }
  }
}

package enum HTTPStatus {
  package static func reason(_ status: Int) -> String {
    switch status {
    case 101: "Switching Protocols"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 304: "Not Modified"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 426: "Upgrade Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Status \(status)"
    }
  }
}
