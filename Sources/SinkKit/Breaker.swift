// Whether a destination is worth trying at all: after several failures in a row it is left alone, and one delivery at a
// time finds out whether it is back.
//
//   closed ─(failures in a row)─▶ open(until) ─(pause is over)─▶ halfOpen ─(it works)─▶ closed
//                                     ▲──────────(it fails: a longer pause)──────┘

package import Basics

package struct Breaker: Sendable {
  package enum State: Sendable, Equatable {
    case closed
    case open(until: Moment)
    /// One delivery is under way to see.
    case halfOpen
  }

  package private(set) var state = State.closed
  /// Failures in a row.
  package private(set) var failures = 0
  private var openings = 0

  /// Whether the peer is back is asked at times with what never failed: events that always fail would keep a healthy
  /// peer from everything else. Ever more seldom, for of a peer that is down it makes one more held event each.
  package var prefersFresh: Bool { !isClosed && openings >= 2 && openings & (openings - 1) == 0 }

  /// Failures in a row that open it.
  package static let threshold = 5
  /// Pauses double from the first to the longest.
  package static let firstPause: Duration = .seconds(1)
  package static let longestPause: Duration = .seconds(60)

  package init() {}

  package var isClosed: Bool { state == .closed }

  /// How many deliveries may begin now.
  package mutating func allowance(at now: Moment) -> Int {
    switch state {
    case .closed: return .max
    case .halfOpen: return 0
    case .open(let until): return now >= until ? 1 : 0
    }
  }

  /// A delivery begins.
  package mutating func began(at now: Moment) {
    if case .open(let until) = state, now >= until { state = .halfOpen }
  }

  package mutating func succeeded() { self = Breaker() }

  /// - Parameter random: uniform in 0..<1: pauses are between half and the whole of their length, so that several
  ///   agents do not come back together, and not all at once.
  package mutating func failed(at now: Moment, random: Double) {
    failures += 1
    switch state {
    case .closed where failures < Self.threshold: return
    // Others that were under way when it opened say nothing new.
    case .open: return
    case .closed, .halfOpen:
      let pause = min(Self.longestPause.seconds, Self.firstPause.seconds * Double(1 << min(openings, 10)))
      openings += 1
      state = .open(until: now + .nanoseconds(Int64(pause * (0.5 + random / 2) * 1e9)))
    }
  }
}
