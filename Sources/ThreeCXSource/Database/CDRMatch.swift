// Whether a call that was heard and one in the PBX's records are the same. No id links them for sure, so numbers and
// times decide; the counter at the end of a record's id is a hint that must not contradict them.

internal import Basics
package import CallModel

package enum CDRMatch {
  /// Seconds that the two may differ in when a call began.
  package static let window = 5.0

  package static func isSame(_ heard: Call, _ recorded: Call) -> Bool {
    guard abs(heard.startedAt.seconds(since: recorded.startedAt)) <= window else { return false }
    guard isAlike(heard.from, recorded.from) else { return false }
    if heard.answeredBy != nil, heard.answeredBy == recorded.answeredBy { return true }
    if let queue = heard.queue, queue == recorded.queue { return true }
    if isAlike(heard.to, recorded.to) { return true }
    let people = Set(heard.legs.map(\.party.id))
    return recorded.legs.contains { people.contains($0.party.id) }
  }

  /// The same number, or one with more of its prefix; unknown is like everything.
  private static func isAlike(_ one: Number?, _ two: Number?) -> Bool {
    guard let one = one?.raw, let two = two?.raw, !one.isEmpty, !two.isEmpty else { return true }
    if one == two { return true }
    let (short, long) = one.utf8.count < two.utf8.count ? (one, two) : (two, one)
    return short.utf8.count >= 7 && long.hasSuffix(short.drop { $0 == "+" || $0 == "0" })
  }
}
