// When to try again: full jitter below a growing ceiling, capped, and forgotten after a quiet spell.

package import Basics

package struct Backoff: Sendable {
  package var base: Duration
  package var cap: Duration
  /// A link that held for this long starts over.
  package var quietSpell: Duration
  private var failures = 0
  private var upSince: Moment?

  package init(base: Duration = .milliseconds(250), cap: Duration = .seconds(15), quietSpell: Duration = .seconds(60)) {
    (self.base, self.cap, self.quietSpell) = (base, cap, quietSpell)
  }

  package mutating func succeeded(at now: Moment) { upSince = now }

  /// Pause before the next attempt: uniform between 0 and min(cap, base·2ⁿ), n counted from 0 after a quiet spell.
  /// - Parameter random: uniform in 0..<1.
  package mutating func failed(at now: Moment, random: Double) -> Duration {
    if let since = upSince, now - since >= quietSpell { failures = 0 }
    upSince = nil
    let ceiling = min(cap.seconds, base.seconds * Double(1 << min(failures, 20)))
    failures += 1
    return .nanoseconds(Int64(ceiling * random * 1e9))
  }
}
