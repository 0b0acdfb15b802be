// One call as the floor shows it: whose parts are there, which of them called, and the lines beyond the PBX that only
// the parts of others speak of.

internal import Basics
internal import CallModel

struct Conversation: Sendable {
  /// A channel of the normaliser: a participant's, or one that stands for a line nobody monitors.
  struct Channel: Sendable {
    enum Role { case caller, callee }

    var facts: ChannelFacts
    let role: Role
    /// Nil for a line that is only spoken of.
    let key: Participant.Key?
    var dialled = ""
    var isBridged = false
    var isForAgent = false
    /// Gone, and since when: told once it is known why, or that nothing follows.
    var goneAt: Timestamp?
    var goneMoment: Moment?
    /// A snapshot showed that it was gone; nobody saw it go.
    var isUnseen = false

    var isUp: Bool { facts.state == .up }

    mutating func goes(at time: Timestamp, _ moment: Moment, isUnseen: Bool) {
      (goneAt, goneMoment, self.isUnseen) = (time, moment, isUnseen)
    }

    mutating func returns() { (goneAt, goneMoment, isUnseen) = (nil, nil, false) }
  }

  let id: Int
  let group: String
  /// In order of appearance.
  var channels: [Channel] = []
  var queue: String?
  var wasDequeued = false
  /// The queue's own participant is or was there.
  var isQueueSeen = false
  /// Nobody of the queue and no agent is there any more: since when.
  var unservedSince: Moment?
  var forwarded: Set<String> = []
  var service: String?
  /// Participants that are gone, newest last: somebody may turn out to have been handed over by one.
  private(set) var former: [Channel] = []
  /// When the list of active calls last showed that it goes on, and how often it has been missing there since.
  var confirmedAt: Moment?
  var timesMissing = 0
  /// When something was last told of it: what is told later is not told as of before.
  var toldAt: Timestamp?

  init(id: Int, group: String) { (self.id, self.group) = (id, group) }

  /// Something of it is told later.
  var isUnsettled: Bool { unservedSince != nil && !wasDequeued || channels.contains { $0.goneMoment != nil } }

  mutating func remember(_ channel: Channel) {
    guard channel.key != nil else { return }
    former.append(channel)
    if former.count > 8 { former.removeFirst() }
  }

  /// Every participant that is or was here.
  var everybody: [(dn: String, facts: ChannelFacts)] {
    (former + channels).compactMap { channel in channel.key.map { ($0.dn, channel.facts) } }
  }

  /// The last telephone of this DN that was called, there or gone.
  func called(_ dn: String, where isMeant: (Channel) -> Bool) -> Channel? {
    (former + channels).last { $0.key?.dn == dn && isMeant($0) }
  }

  var bridge: BridgeFacts { BridgeFacts(id: group, kind: .talk) }

  func index(of key: Participant.Key) -> Int? { channels.firstIndex { $0.key == key } }

  func index(of channel: Channel) -> Int? { channels.firstIndex { $0.facts.id == channel.facts.id } }

  func index(ofLine number: String) -> Int? {
    channels.firstIndex { $0.key == nil && $0.facts.id.hasSuffix("/" + number) }
  }

  /// Who called; the last one to come where several did, as in a transfer.
  var caller: Int? {
    channels.lastIndex { $0.role == .caller && $0.goneAt == nil } ?? channels.lastIndex { $0.role == .caller }
  }

  /// Those who were called and are connected.
  var talking: [Int] {
    channels.indices.filter { channels[$0].role == .callee && channels[$0].isUp && channels[$0].goneAt == nil }
  }
}
