// What is known of a PBX over one Call Control connection: a value machine that turns frames, fetched entities and
// snapshots into the floor: every participant there is.
//
//   opened ─▶ buffering ─(snapshot)─▶ live ─(gap, period, flood)─▶ live, snapshot asked ─▶ live
//
// A frame says only that an entity changed, so each is fetched. What frames say is told in their order: an answer that
// overtakes another waits for it, and so does a removal. What was touched since a snapshot was asked for is newer than
// the snapshot.

package import Basics

package struct CallControlSession: Sendable {
  package enum Effect: Hashable, Sendable {
    case fetch(Participant.Key)
    case takeSnapshot
    case changed(Participant)
    case gone(Participant.Key)
    /// All there is, from a snapshot. `isFirst` on this connection.
    case floor([Participant], isFirst: Bool)
  }

  package enum Answer: Sendable {
    case found(Participant)
    case notThere
    case failed
  }

  private struct Entry {
    let key: Participant.Key
    var isFetching = false
    var answer: Answer?
  }

  private enum Phase { case buffering, live }

  private var phase = Phase.buffering
  private(set) var floor: [Participant.Key: Participant] = [:]
  /// What frames said, oldest first, until it is told.
  private var line: [Entry] = []
  private var touched: Set<Participant.Key> = []
  private var buffered: [CallControlFrame] = []
  private var nextSequence: Int64?
  private var missing: Set<Int64> = []
  private var gapSince: Moment?
  private var snapshotAskedAt: Moment?
  private var snapshotDoneAt: Moment?
  private var wantsSnapshot = false
  private let livePeriod: Duration
  private let idlePeriod: Duration

  /// Fetches under way at once; a line longer than the second bound becomes one snapshot.
  static let fetchLimit = 8
  static let lineLimit = 500
  /// Frames that arrive swapped are given this long to come.
  private static let gapPatience: Duration = .milliseconds(300)
  /// Longer than a request may take with a new token and once more.
  private static let snapshotPatience: Duration = .seconds(60)

  /// - Parameters: how often all is compared, while there are calls and while there are none.
  package init(livePeriod: Duration, idlePeriod: Duration) {
    (self.livePeriod, self.idlePeriod) = (livePeriod, idlePeriod)
  }

  package var participants: [Participant] { floor.values.sorted { $0.key < $1.key } }

  // MARK: Inputs

  /// The socket is open: from here on nothing is missed, so now all is asked for.
  package mutating func opened(at now: Moment) -> [Effect] { askForSnapshot(at: now) }

  package mutating func received(_ frame: CallControlFrame, at now: Moment) -> [Effect] {
    let effects = count(frame.sequence, at: now)
    guard phase == .live else {
      // The snapshot was asked for when the socket opened: all that comes before it is answered is fetched after it.
      if buffered.count < Self.lineLimit { buffered.append(frame) } else { wantsSnapshot = true }
      return effects
    }
    return effects + apply(frame, at: now)
  }

  package mutating func fetched(_ key: Participant.Key, _ answer: Answer, at now: Moment) -> [Effect] {
    guard let index = line.firstIndex(where: { $0.key == key && $0.isFetching && $0.answer == nil }) else { return [] }
    line[index].answer = answer
    return release() + next()
  }

  /// - Parameter states: nil when it could not be had; it is asked for again after a while.
  package mutating func snapshot(_ states: [DNState]?, at now: Moment) -> [Effect] {
    guard snapshotAskedAt != nil else { return [] }
    (snapshotAskedAt, snapshotDoneAt) = (nil, now)
    guard let states else {
      wantsSnapshot = true
      return []
    }
    let isFirst = phase == .buffering
    phase = .live
    var found = Dictionary(states.flatMap(\.participants).map { ($0.key, $0) }) { first, _ in first }
    for key in touched { found[key] = floor[key] }
    touched = []
    floor = found
    let frames = buffered
    buffered = []
    return [.floor(participants, isFirst: isFirst)] + frames.flatMap { apply($0, at: now) }
  }

  /// Called a few times a second.
  package mutating func tick(at now: Moment) -> [Effect] {
    if let asked = snapshotAskedAt {
      guard now - asked > Self.snapshotPatience else { return [] }
      snapshotAskedAt = nil
      return askForSnapshot(at: now)
    }
    if let since = gapSince, now - since >= Self.gapPatience { return askForSnapshot(at: now) }
    let age = snapshotDoneAt.map { now - $0 } ?? .zero
    if wantsSnapshot, age >= .seconds(1) { return askForSnapshot(at: now) }
    return age >= (floor.isEmpty ? idlePeriod : livePeriod) ? askForSnapshot(at: now) : []
  }

  /// Compares all soon, for a reason that the frames do not show.
  package mutating func doubt() { wantsSnapshot = true }

  // MARK: Steps

  private mutating func apply(_ frame: CallControlFrame, at now: Moment) -> [Effect] {
    switch frame.entity {
    case .other: return []
    case .dn:
      wantsSnapshot = true
      return []
    case .participant(let key):
      touched.insert(key)
      // One that is not asked for yet will be found as it is then.
      let isAsked = line.contains { $0.key == key && !$0.isFetching && $0.answer == nil }
      if isAsked, !frame.isRemoval { return [] }
      if isAsked { line.removeAll { $0.key == key && !$0.isFetching && $0.answer == nil } }
      line.append(Entry(key: key, answer: frame.isRemoval ? .notThere : nil))
      guard line.count <= Self.lineLimit else {
        (line, wantsSnapshot) = ([], true)
        return []
      }
      return release() + next()
    }
  }

  /// Begins what may be asked for now: not the same entity twice at once.
  private mutating func next() -> [Effect] {
    var asked = Set(line.filter { $0.isFetching && $0.answer == nil }.map(\.key))
    var effects: [Effect] = []
    for index in line.indices where line[index].answer == nil && !line[index].isFetching {
      guard asked.count < Self.fetchLimit else { break }
      guard asked.insert(line[index].key).inserted else { continue }
      line[index].isFetching = true
      effects.append(.fetch(line[index].key))
    }
    return effects
  }

  /// Tells what is known, up to the first that is not.
  private mutating func release() -> [Effect] {
    var effects: [Effect] = []
    while let answer = line.first?.answer {
      let key = line.removeFirst().key
      switch answer {
      case .found(let participant) where participant.key == key:
        if floor.updateValue(participant, forKey: key) != participant { effects.append(.changed(participant)) }
      case .found, .notThere:
        if floor.removeValue(forKey: key) != nil { effects.append(.gone(key)) }
      case .failed: wantsSnapshot = true
      }
    }
    return effects
  }

  // MARK: Sequence

  /// Frames are numbered; a number that stays out means that one was lost.
  private mutating func count(_ sequence: Int64?, at now: Moment) -> [Effect] {
    guard let sequence, (0..<(1 << 62)).contains(sequence) else { return [] }
    guard let expected = nextSequence else {
      nextSequence = sequence &+ 1
      return []
    }
    if missing.remove(sequence) != nil {
      if missing.isEmpty { gapSince = nil }
      return []
    }
    if sequence < expected { return startsAnew(sequence, expected) ? restartCount(sequence, at: now) : [] }
    if sequence > expected {
      if sequence - expected <= 64 { missing.formUnion(expected..<sequence) }
      if gapSince == nil { gapSince = now }
    }
    nextSequence = sequence &+ 1
    return []
  }

  /// A doubled frame is near; a counter that begins again is far.
  private func startsAnew(_ sequence: Int64, _ expected: Int64) -> Bool { expected - sequence > 64 }

  private mutating func restartCount(_ sequence: Int64, at now: Moment) -> [Effect] {
    nextSequence = sequence &+ 1
    gapSince = now
    return []
  }

  private mutating func askForSnapshot(at now: Moment) -> [Effect] {
    (snapshotAskedAt, gapSince, wantsSnapshot) = (now, nil, false)
    (missing, touched) = ([], Set(line.map(\.key)))
    return [.takeSnapshot]
  }
}
