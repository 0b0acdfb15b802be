// Token buckets, one a caller: a burst of the whole span's share, then the steady rate.

package import Basics
package import HTTP

package struct RateLimiter {
  package struct Verdict: Equatable {
    package let isAllowed: Bool
    package let allowance: Allowance
    /// Seconds to wait; nil when it is allowed.
    var retryAfter: Int? { isAllowed ? nil : max(1, allowance.resetSeconds) }
  }

  private let share: Int
  private let seconds: Double
  private var buckets: [UUID: (tokens: Double, at: Moment)] = [:]

  package init(perMinute: Int) { (share, seconds) = (perMinute, 60) }
  package init(perHour: Int) { (share, seconds) = (perHour, 3600) }

  package mutating func take(_ caller: UUID, at now: Moment) -> Verdict {
    if buckets.count > 10_000 { buckets = buckets.filter { (now - $0.value.at).seconds < seconds } }
    let rate = Double(share) / seconds
    var bucket = buckets[caller] ?? (Double(share), now)
    bucket.tokens = min(Double(share), bucket.tokens + (now - bucket.at).seconds * rate)
    bucket.at = now
    let isAllowed = bucket.tokens >= 1
    if isAllowed { bucket.tokens -= 1 }
    buckets[caller] = bucket
    let wait = isAllowed ? 0 : Int(((1 - bucket.tokens) / rate).rounded(.up))
    let allowance = Allowance(limit: share, remaining: Int(bucket.tokens), resetSeconds: wait)
    return Verdict(isAllowed: isAllowed, allowance: allowance)
  }
}
