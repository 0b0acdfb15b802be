// An answer, and how it is put on the wire.

internal import Basics
package import JSON
package import Loop

package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)] = []
  package var body: [UInt8] = []
  package var contentType: String?
  package var allowance: Allowance?

  package init(status: Int = 200, contentType: String? = nil, body: [UInt8] = []) {
    (self.status, self.contentType, self.body) = (status, contentType, body)
  }

  package static func json(status: Int = 200, _ write: (inout JSONWriter) -> Void) -> HTTPResponse {
    var json = JSONWriter()
    write(&json)
    return HTTPResponse(status: status, contentType: "application/json", body: json.bytes)
  }

  package static func text(_ text: String, contentType: String = "text/plain; charset=utf-8") -> HTTPResponse {
    HTTPResponse(contentType: contentType, body: Array(text.utf8))
  }

  package static func problem(_ error: APIError, requestID: String) -> HTTPResponse {
    var json = JSONWriter()
    error.write(to: &json, requestID: requestID)
    var response = HTTPResponse(status: error.status, contentType: "application/problem+json", body: json.bytes)
    response.headers = error.headers
    response.allowance = error.allowance
    response.headers.append(("X-Request-Id", requestID))
    if let seconds = error.retryAfter { response.headers.append(("Retry-After", String(seconds))) }
    if error.status == 401 { response.headers.append(("WWW-Authenticate", "Bearer realm=\"sidetone\"")) }
    return response
  }

  /// The head and body as bytes. `HEAD` gets the length of a body it is not sent.
  func encoded(keepAlive: Bool, isHead: Bool, date: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(320 + (isHead ? 0 : body.count))
    out.append("HTTP/1.1 ")
    out.append(decimal: status)
    out.append(" ")
    out.append(contentsOf: HTTPStatus.reason(status).utf8)
    out.append("\r\nDate: ")
    out.append(contentsOf: date)
    if let contentType {
      out.append("\r\nContent-Type: ")
      out.append(contentsOf: contentType.utf8)
    }
    for (name, value) in headers {
      out.append("\r\n")
      out.append(contentsOf: name.utf8)
      out.append(": ")
      out.append(contentsOf: value.utf8)
    }
    if let allowance {
      out.append("\r\nRateLimit-Limit: ")
      out.append(decimal: allowance.limit)
      out.append("\r\nRateLimit-Remaining: ")
      out.append(decimal: allowance.remaining)
      out.append("\r\nRateLimit-Reset: ")
      out.append(decimal: allowance.resetSeconds)
    }
    if status != 204, status != 304 {
      out.append("\r\nContent-Length: ")
      out.append(decimal: body.count)
    }
    if !keepAlive { out.append("\r\nConnection: close") }
    out.append("\r\nX-Content-Type-Options: nosniff\r\n\r\n")
    if !isHead { out.append(contentsOf: body) }
    return out
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ text: StaticString) { text.withUTF8Buffer { append(contentsOf: $0) } }

  fileprivate mutating func append(decimal number: Int) {
    if number >= 10 { append(decimal: number / 10) }
    append(UInt8(48 + number % 10))
  }
}

/// What a handler gives: a whole answer, or the connection itself for a protocol of its own.
package enum HTTPReply {
  case response(HTTPResponse)
  /// The bytes of the head, then the stream is the taker's, with what the client already sent.
  case takeOver(head: [UInt8], @LoopActor (Stream, _ received: [UInt8]) -> Void)
}

/// The Date header, made once a second.
@LoopActor
struct DateLine {
  private var second: Int64 = -1
  private var bytes: [UInt8] = []

  mutating func now() -> [UInt8] {
    let seconds = Timestamp.now().microseconds / 1_000_000
    if seconds != second { (second, bytes) = (seconds, Self.format(seconds)) }
    return bytes
  }

  /// IMF-fixdate (RFC 9110 §5.6.7).
  static func format(_ seconds: Int64) -> [UInt8] {
    let day = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Int(seconds / 86_400 % 7)]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let iso = Timestamp(microseconds: seconds * 1_000_000).description
    let parts = iso.prefix(10).split(separator: "-")
    let month = Int(parts[1]).map { months[$0 - 1] } ?? ""
    return Array("\(day), \(parts[2]) \(month) \(parts[0]) \(iso.dropFirst(11).prefix(8)) GMT".utf8)
  }
}
