// Whether the numbers that a 3CX gives still mean what they meant: they are small, rise, and begin again with the PBX.

struct IdentityWatch: Sendable {
  private var highestCall = 0
  private var highestPart = 0
  /// Whether a new participant has always had a higher id than all before, whatever its DN.
  private var rises = true

  mutating func note(_ part: Participant) {
    if part.key.id <= highestPart { rises = false }
    highestPart = max(highestPart, part.key.id)
    highestCall = max(highestCall, part.callID)
  }

  /// What is listed after a time without a link belongs to another run of the PBX.
  func isAnother(
    _ listed: [Participant], than parts: [Participant.Key: Participant], _ known: [Int: Conversation]
  ) -> Bool {
    guard let highest = listed.map(\.callID).max(), highestCall > 0 else { return false }
    if listed.contains(where: { part in parts[part.key].map { $0.goesOn(as: part) } ?? false }) { return false }
    // Nobody of before is there. Ids that were given out already were given out anew.
    if rises { return listed.contains { $0.key.id <= highestPart } }
    return highest < highestCall && !listed.contains { known[$0.callID] != nil }
  }
}

extension Participant {
  /// Nobody who talks rings again, or dials.
  fileprivate func goesOn(as later: Participant) -> Bool {
    callID == later.callID && (status != .connected || later.status == .connected)
      && (status != .ringing || later.status != .dialing)
  }
}
