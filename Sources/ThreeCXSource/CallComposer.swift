// From participants to channels: a 3CX shows one part for every DN that may be seen and nothing of lines and of others.
// What a call must look like for these parts to be there is worked out anew at every change and told as the difference,
// so a frame that was lost, doubled or late costs nothing once the floor is right again.
//
//   floor (participants) ─▶ conversation (channels, queue, who called) ─▶ observations

package import Basics
package import CallModel

package struct CallComposer: Sendable {
  var parts: [Participant.Key: Participant] = [:]
  var conversations: [Int: Conversation] = [:]
  var kinds: [String: PartyKind] = [:]
  var epoch: String
  var run = IdentityWatch()
  private(set) var out: [Observation] = []
  var now = Timestamp(microseconds: 0)
  var moment = Moment(nanoseconds: 0)
  var isInferring = false
  /// How often a participant's channel was told to end while its call goes on.
  var ended: [Participant.Key: (count: Int, call: Int)] = [:]
  /// Whom we asked the PBX to call for: his own telephone may ring before anybody's, and he is the caller all the same.
  private var expected: [String: Moment] = [:]
  /// Who was called by somebody who may be seen and was not yet: since when.
  var postponed: [Participant.Key: Moment] = [:]

  /// Why somebody left while the caller is still there shows a little later: an answer elsewhere, a transfer.
  static let patience: Duration = .milliseconds(250)
  /// An outside caller whom nobody is rung for may be on the way to somebody else.
  static let linePatience: Duration = .milliseconds(1600)
  /// Between the agents that a queue tries one after the other, where the queue itself may not be seen.
  static let wavePatience: Duration = .seconds(8)

  /// - Parameter epoch: names the PBX's run, whose ids begin again with the next.
  package init(epoch: String) { self.epoch = epoch }

  /// Nobody is on the line.
  package var isEmpty: Bool { conversations.isEmpty && parts.isEmpty }

  /// The normaliser's names for a call and for a participant.
  func group(_ callID: Int) -> String { "\(epoch)/\(callID)" }
  func channel(_ key: Participant.Key) -> String { "\(epoch)/\(key.dn)/\(key.id)" }

  // MARK: Inputs

  package mutating func changed(_ part: Participant, time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    take(part)
    return takeOut()
  }

  package mutating func gone(_ key: Participant.Key, time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    remove(key)
    return takeOut()
  }

  /// All there is; what differs was not seen to happen.
  /// - Parameters:
  ///   - kinds: what each DN is.
  ///   - isFirst: on a new connection: what the normaliser remembers and is not listed is gone.
  package mutating func floor(
    _ all: [Participant], kinds: [String: PartyKind], isFirst: Bool, time: Timestamp, at moment: Moment
  ) -> [Observation] {
    begin(time, moment)
    self.kinds = kinds
    if isFirst, run.isAnother(all, than: parts, conversations) { beginAnew() }
    tell(.inferring(true))
    isInferring = true
    // Who came is taken first: a call whose people all changed unseen is still one call.
    // All are known before the first is composed: who called whom shows in both.
    let fresh = all.filter { parts[$0.key] == nil }
    for part in fresh {
      parts[part.key] = part
      run.note(part)
    }
    for part in fresh { compose(part) }
    for part in all { take(part) }
    composePostponed(after: .zero)
    let present = Set(all.map(\.key))
    for key in parts.keys.sorted() where !present.contains(key) { remove(key) }
    settle()
    if isFirst { listAll() }
    isInferring = false
    tell(.inferring(false))
    if out.count == 2 { out = [] }
    return takeOut()
  }

  /// Tells what has waited long enough. Called a few times a second.
  package mutating func tick(time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    settle()
    return takeOut()
  }

  mutating func begin(_ time: Timestamp, _ moment: Moment) { (now, self.moment) = (time, moment) }

  mutating func takeOut() -> [Observation] {
    defer { out = [] }
    return out
  }

  mutating func tell(_ fact: Observation.Fact, at time: Timestamp? = nil) {
    out.append(Observation(at: time ?? now, fact))
  }

  // MARK: Commanded

  /// The next call in which this DN shows first is one that it makes. Of more than 1000 at once the rest is not noted.
  package mutating func expect(callerOn dn: String, until end: Moment) {
    expected = expected.filter { $0.value > moment }
    if expected.count < 1000 { expected[dn] = end }
  }

  mutating func isExpected(_ part: Participant) -> Bool {
    guard let end = expected[part.key.dn], part.status == .ringing else { return false }
    expected[part.key.dn] = nil
    return moment < end
  }

  // MARK: The link

  private mutating func beginAnew() {
    epoch = String(now.milliseconds)
    (parts, conversations, run) = ([:], [:], IdentityWatch())
    tell(.epoch(epoch))
  }

  /// Those whose end is not told yet are still there for the normaliser.
  private mutating func listAll() {
    for id in conversations.keys.sorted() {
      guard let conversation = conversations[id] else { continue }
      for channel in conversation.channels {
        tell(
          .snapshotChannel(
            channel.facts, dialled: "", application: "", data: "",
            bridge: channel.isBridged ? conversation.bridge.id : nil))
      }
    }
    tell(.snapshotEnded)
  }

  // MARK: Parts

  mutating func take(_ part: Participant) {
    if parts[part.key] == nil { run.note(part) }
    let before = parts.updateValue(part, forKey: part.key)
    if let before, before != part {
      if isAnother(part, before) {
        parts[part.key] = before
        remove(part.key, isCertain: true)
        parts[part.key] = part
      } else if before.callID != part.callID {
        move(part.key, from: before.callID, to: part)
      }
    } else if before == part {
      return
    }
    compose(part)
  }

  /// The same id, and a call that has nothing to do with the former: the id was given out again unseen.
  private func isAnother(_ part: Participant, _ before: Participant) -> Bool {
    // One that named no call at first has found its own.
    before.callID >= 0 && part.callID != before.callID && (part.status != .connected || before.status != .connected)
  }

  mutating func remove(_ key: Participant.Key, isCertain: Bool = false) {
    guard let part = parts.removeValue(forKey: key), var conversation = conversations[part.callID] else { return }
    guard let index = conversation.index(of: key) else {
      conversations[part.callID] = conversation
      return serviceGone(part)
    }
    conversation.channels[index].goes(at: now, moment, isUnseen: isInferring)
    conversations[part.callID] = conversation
    resolve(part.callID, isCertain: isCertain)
  }

  /// A queue or a menu let the caller go.
  private mutating func serviceGone(_ part: Participant) { resolve(part.callID) }
}
