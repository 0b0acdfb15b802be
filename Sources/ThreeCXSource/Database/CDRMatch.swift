// Which call that was heard and which in the PBX's records are the same. No id links them for sure, so numbers and times
// decide; the counter at the end of a record's id, which is likely the live call's number, only breaks ties. Every call
// has one partner at most, the likeliest pairs first.

internal import Basics
package import CallModel

package enum CDRMatch {
  /// Seconds that the two may differ in when a call began.
  package static let window = 5.0

  private struct Pair {
    let heard: Int
    let recorded: Int
    let score: (Int, Int, Int, Double)
  }

  /// For each recorded call the place of its partner among the heard ones, or nil.
  package static func partners(of recorded: [Call], among heard: [Call]) -> [Int?] {
    let order = heard.indices.sorted { heard[$0].startedAt < heard[$1].startedAt }
    var pairs: [Pair] = []
    for (index, one) in recorded.enumerated() {
      let earliest = one.startedAt.adding(seconds: -window)
      for place in order[firstIndex(in: order, heard, from: earliest)...] {
        guard heard[place].startedAt.seconds(since: one.startedAt) <= window else { break }
        if let score = score(heard[place], one) { pairs.append(Pair(heard: place, recorded: index, score: score)) }
      }
    }
    var partners = [Int?](repeating: nil, count: recorded.count)
    var taken: Set<Int> = []
    for pair in pairs.sorted(by: { $0.score < $1.score }) where partners[pair.recorded] == nil {
      if taken.insert(pair.heard).inserted { partners[pair.recorded] = pair.heard }
    }
    return partners
  }

  private static func firstIndex(in order: [Int], _ heard: [Call], from time: Timestamp) -> Int {
    var (low, high) = (0, order.count)
    while low < high {
      let middle = (low + high) / 2
      if heard[order[middle]].startedAt < time { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Less is likelier; nil where they cannot be the same.
  private static func score(_ heard: Call, _ recorded: Call) -> (Int, Int, Int, Double)? {
    let id = recorded.externalIDs["call_history_id"]
    if let known = heard.externalIDs["call_history_id"] { return known == id ? (0, 0, 0, 0) : nil }
    guard isAlike(heard.from, recorded.from) else { return nil }
    let hasNumber = counter(id) != nil && counter(id) == nativeNumber(heard)
    let isSameEnd = heard.answeredBy == recorded.answeredBy
    let isSameTo = isAlike(heard.to, recorded.to) || heard.queue != nil && heard.queue == recorded.queue
    guard hasNumber || isSameTo || heard.answeredBy != nil && isSameEnd || haveAPersonInCommon(heard, recorded) else {
      return nil
    }
    return (
      hasNumber ? 1 : 2, isSameEnd ? 0 : 1, isSameTo ? 0 : 1, abs(heard.startedAt.seconds(since: recorded.startedAt))
    )
  }

  private static func haveAPersonInCommon(_ heard: Call, _ recorded: Call) -> Bool {
    let people = Set(heard.legs.filter { $0.role != .caller }.map(\.party.id))
    return recorded.legs.contains { people.contains($0.party.id) }
  }

  /// The last four bytes of a record's id: the PBX's own count of calls.
  private static func counter(_ id: String?) -> Int? { id.flatMap { Int($0.suffix(8), radix: 16) } }

  /// `epoch/number`, as the link names a call.
  private static func nativeNumber(_ heard: Call) -> Int? {
    heard.externalIDs["linkedid"]?.split(separator: "/").last.flatMap { Int($0) }
  }

  /// The same number, or one with more of its prefix; unknown is like everything.
  private static func isAlike(_ one: Number?, _ two: Number?) -> Bool {
    guard let one = one?.raw, let two = two?.raw, !one.isEmpty, !two.isEmpty else { return true }
    if one == two { return true }
    let (short, long) = one.utf8.count < two.utf8.count ? (one, two) : (two, one)
    return short.utf8.count >= 7 && long.hasSuffix(short.drop { $0 == "+" || $0 == "0" })
  }
}
