// How fast a destination is given deliveries: its own limit, and what it asked for by answering "too many".

package import Basics

package struct Pace: Sendable {
  /// Entries a second; nil for as many as it takes.
  let rate: Double?
  private var allowance: Double
  private var countedAt: Moment
  /// Requests at once that it has shown to bear; grows back by one every `growAfter` accepted.
  package private(set) var width: Int
  private let widest: Int
  private var sinceGrowth = 0
  private static let growAfter = 20
  /// Nothing is sent before this.
  package private(set) var quietUntil: Moment

  /// Before a peer that names no time is asked again.
  private static let defaultQuiet: Duration = .seconds(5)
  /// A peer that asks for less, or for a time that has passed, is left alone for this, doubled each time in a row.
  private static let shortestQuiet: Duration = .seconds(1)
  private static let longestOwnQuiet: Duration = .seconds(60)
  private var refusals = 0

  package init(rate: Double?, width: Int, at now: Moment) {
    (self.rate, self.width, widest) = (rate, width, width)
    (allowance, countedAt, quietUntil) = (max(1, rate ?? 1), now, now)
  }

  /// How many entries may go now.
  package mutating func available(at now: Moment) -> Int {
    guard now >= quietUntil else { return 0 }
    guard let rate else { return .max }
    allowance = min(max(1, rate), allowance + (now - countedAt).seconds * rate)
    countedAt = now
    return Int(allowance)
  }

  package mutating func spend(_ count: Int) { if rate != nil { allowance -= Double(count) } }

  /// When `available` is worth asking again.
  package func nextAt(_ now: Moment) -> Moment {
    if now < quietUntil { return quietUntil }
    guard let rate, allowance < 1 else { return now }
    return now + .nanoseconds(Int64((1 - allowance) / rate * 1e9))
  }

  package mutating func accepted() {
    refusals = 0
    guard width < widest else { return }
    sinceGrowth += 1
    if sinceGrowth >= Self.growAfter { (width, sinceGrowth) = (width + 1, 0) }
  }

  package mutating func slowDown(at now: Moment, asked: Duration?) {
    width = max(1, width / 2)
    sinceGrowth = 0
    // Of those that were under way together the first counts.
    if now >= quietUntil { refusals += 1 }
    let wish = asked.map { RetrySchedule.clamped($0) } ?? Self.defaultQuiet
    quietUntil = max(quietUntil, now + (wish < Self.shortestQuiet ? ownQuiet : wish))
  }

  /// What was asked for before a restart.
  package mutating func beQuiet(for span: Duration, at now: Moment) { quietUntil = max(quietUntil, now + span) }

  private var ownQuiet: Duration {
    min(Self.longestOwnQuiet, .seconds(Self.shortestQuiet.seconds * Double(1 << min(max(0, refusals - 1), 6))))
  }

  /// Other limits; what the peer asked for holds on.
  package mutating func change(rate: Double?, width: Int, at now: Moment) {
    let quiet = quietUntil
    self = Pace(rate: rate, width: width, at: now)
    quietUntil = max(now, quiet)
  }
}
