// What the PBX said of its participants lately, so that one call can be looked at after the fact.

internal import Basics

struct FrameLog {
  static let limit = 2000

  private var lines: [(at: Timestamp, channel: String, group: String, text: String)] = []

  mutating func append(_ part: Participant, at time: Timestamp, channel: String, group: String) {
    let party = part.partyNumber == part.partyDN ? part.partyDN : "\(part.partyDN) (\(part.partyNumber))"
    lines.append(
      (
        time, channel, group,
        "participant \(part.key.id) of \(part.key.dn): \(part.status), call \(part.callID), with \(party)"
      ))
    if lines.count > Self.limit { lines.removeFirst(lines.count - Self.limit) }
  }

  func messages(naming ids: Set<String>) -> [(at: Timestamp, text: String)] {
    lines.filter { ids.contains($0.channel) || ids.contains($0.group) }.map { ($0.at, $0.text) }
  }
}
