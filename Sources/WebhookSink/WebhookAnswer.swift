// What an answer to a webhook means for what was sent (Standard Webhooks, "Responses and retries").

internal import Basics
internal import HTTPClient
internal import SinkKit

enum WebhookAnswer {
  static func receipt(_ response: PostAnswer, now: Timestamp) -> Receipt {
    let (status, asked) = (response.status, retryAfter(response.retryAfter, now: now))
    switch status {
    case 200..<300: return Receipt(.accepted, code: status)
    case 300..<400:
      return Receipt(.kept, "HTTP \(status): redirects are not followed; name the final address", code: status)
    case 410: return Receipt(.gone, "HTTP 410", code: status)
    case 429: return Receipt(.slowDown, "HTTP 429", code: status, retryAfter: asked)
    case 503 where asked != nil: return Receipt(.slowDown, "HTTP 503", code: status, retryAfter: asked)
    case 401, 403: return Receipt(.kept, "HTTP \(status): the receiver refuses our signature or address", code: status)
    // The address or the receiver is at fault, not this event.
    case 404, 405, 407, 408, 421, 423, 424, 425, 500...:
      return Receipt(.kept, "HTTP \(status)", code: status, retryAfter: asked)
    default: return Receipt(.refused, "HTTP \(status)", code: status)
    }
  }

  static func receipt(_ failure: ClientFailure) -> Receipt { Receipt(.kept, failure.description) }

  /// Seconds, or a date (RFC 9110 §10.2.3).
  static func retryAfter(_ text: String?, now: Timestamp) -> Duration? {
    guard let text = text?.trimmed, !text.isEmpty else { return nil }
    if text.utf8.allSatisfy({ (48...57).contains($0) }) {
      return .seconds(min(Int64(text) ?? .max, 86_400))
    }
    guard let date = Timestamp(httpDate: text) else { return nil }
    // Of the year 9999 too: held within bounds before it is a number of nanoseconds.
    return .seconds(min(max(0, date.seconds(since: now)), RetrySchedule.longestRetryAfter.seconds))
  }
}

extension Timestamp {
  /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7, the form that is sent).
  init?(httpDate text: String) {
    let parts = text.split(separator: " ")
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])) else { return nil }
    let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
    self.init(rfc3339: "\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
  }
}
