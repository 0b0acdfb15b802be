// When a delivery that was kept is tried again (DESIGN §7).

internal import Basics
package import Loop

package struct RetrySchedule: Sendable {
  /// Pause before attempt 2, 3, …; after the last the entry is set aside.
  package var ceilings: [Duration] = [
    .seconds(5), .seconds(30), .seconds(120), .seconds(300), .seconds(1800), .seconds(7200), .seconds(18_000),
    .seconds(36_000), .seconds(50_400), .seconds(72_000), .seconds(86_400),
  ]
  /// A peer may ask for a longer pause, up to this.
  package static let longestRetryAfter: Duration = .seconds(86_400)

  package init() {}

  /// The pause after attempt `attempt`, counted from 1: full jitter below its ceiling, never shorter than the peer
  /// asked for. Nil when that attempt was the last.
  /// - Parameter random: uniform in 0..<1.
  package func pause(after attempt: Int, asked: Duration?, random: Double) -> Duration? {
    guard attempt >= 1, attempt <= ceilings.count else { return nil }
    let jittered = Duration.nanoseconds(Int64(ceilings[attempt - 1].seconds * random * 1e9))
    return max(jittered, Self.clamped(asked))
  }

  package static func clamped(_ asked: Duration?) -> Duration { min(max(asked ?? .zero, .zero), longestRetryAfter) }
}

/// Numbers that spread retries, uniform in 0..<1: of a generator seeded once, since the kernel's costs a call each time.
@LoopActor
package enum Jitter {
  private static var state = UInt64.random(in: 1...(.max))

  package static func next() -> Double {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Double(state >> 11) / Double(UInt64(1) << 53)
  }
}
