// How a destination has done, minute by minute for the last hour: what the administrator's chart draws.

package import Basics

package struct Tally: Sendable {
  package struct Minute: Sendable {
    /// Since the epoch.
    package let number: Int64
    package var accepted = 0
    package var failed = 0
  }

  package private(set) var minutes: [Minute] = []

  package init() {}

  package mutating func note(_ count: Int, isAccepted: Bool, at now: Timestamp) {
    let number = now.microseconds / 60_000_000
    if minutes.last?.number != number { minutes.append(Minute(number: number)) }
    if minutes.count > 60 { minutes.removeFirst(minutes.count - 60) }
    if isAccepted {
      minutes[minutes.count - 1].accepted += count
    } else {
      minutes[minutes.count - 1].failed += count
    }
  }
}
