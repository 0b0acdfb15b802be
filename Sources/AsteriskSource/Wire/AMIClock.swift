// When things happened, where the message came late. A blocking action holds back all events of its connection
// (Fixtures/asterisk/originate-failures): they arrive in one burst with its answer. A channel's Uniqueid begins with
// the second in which it was made, and so proves it.

internal import Basics
package import CallModel

/// Corrects the time of what a burst held back: the first steps of a channel that provably is older than its news.
package struct AMIClock: Sendable {
  /// The least that a channel's news was ever behind its second: the clocks' difference and the way, at most.
  private var leastLag: Double?
  private var lastArrival: Timestamp?
  private var late: (id: String, arrival: Timestamp, made: Timestamp)?

  /// What was held back arrives within this many seconds.
  private static let burst = 0.1

  package init() {}

  package mutating func corrected(_ observation: Observation) -> Observation {
    defer { lastArrival = observation.at }
    if case .channel(let facts) = observation.fact, late?.id != facts.id, facts.state != .up {
      judge(facts.id, arrival: observation.at)
    }
    guard let late, late.arrival == observation.at, observation.fact.isFirstStep(of: late.id) else {
      return observation
    }
    return Observation(at: late.made, observation.fact)
  }

  private mutating func judge(_ id: String, arrival: Timestamp) {
    late = nil
    guard let second = Self.second(of: id) else { return }
    let lag = Double(arrival.microseconds) / 1e6 - second
    guard let least = leastLag, let before = lastArrival, lag >= least + 1, arrival.seconds(since: before) < 60 else {
      leastLag = min(leastLag ?? lag, lag)
      return
    }
    late = (id, arrival, before)
  }

  /// `1795216973.73`, or `name-1795216973.73` where a system name is set; nil for ids that a client chose.
  static func second(of id: String) -> Double? {
    let number = id.split(separator: "-").last ?? ""
    guard let dot = number.firstIndex(of: "."), let second = Int(number[..<dot]), second > 1_000_000_000 else {
      return nil
    }
    return Double(second)
  }
}

extension Observation.Fact {
  /// Being made, dialled and rung, as against being answered.
  fileprivate func isFirstStep(of id: String) -> Bool {
    switch self {
    case .channel(let facts), .connectedLine(let facts): facts.id == id && facts.state != .up
    case .dialBegan(_, let to, _), .dialProgress(let to, _): to.id == id
    default: false
    }
  }
}
