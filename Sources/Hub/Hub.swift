// Who may see it, and how far have they read. A subscriber is a position: while it keeps up it is pushed to, and when
// it does not it is read for, from the recent entries in memory or from the journal, by the same code.

package import CallModel
package import Loop

/// Reading from the journal, as the hub needs it.
package protocol EventLog: Sendable {
  @LoopActor var head: Position { get }
  @LoopActor var oldest: Position { get }
  @LoopActor func page(after: Position, limit: Int) async -> [JournalEntry]?
}

@LoopActor
package final class Hub {
  /// Recent entries kept in memory, so that most resumes cost no disk.
  package static let recentLimit = 2 << 20

  package let log: any EventLog
  private var recent: [RenderedEntry] = []
  private var recentStart = 0
  private var recentBytes = 0
  private var subscribers: [ObjectIdentifier: any Subscriber] = [:]
  private lazy var rounds = Rounds { [unowned self] in Array(subscribers.values) }
  private var calls: [CallID: JournalEntry] = [:]
  /// Position of the newest entry that may be told.
  package private(set) var head: Position

  package init(log: any EventLog) {
    self.log = log
    head = log.head
  }

  package var subscriberCount: Int { subscribers.count }

  /// Calls that were open when the agent started.
  package func remember(_ entry: JournalEntry) { if let id = entry.callID { calls[id] = entry } }

  // MARK: Publishing

  /// Subscribers are woken in rounds, a piece a turn, while the next entries are already on their way to the disk.
  package func publish(_ entries: [JournalEntry]) {
    for entry in entries {
      follow(entry)
      keep(RenderedEntry(entry))
      head = entry.position
      // Far below what is kept in memory: nobody who keeps up is ever read for.
      rounds.ask(Self.cost(of: entry), atMost: Self.recentLimit / 4)
    }
  }

  private func follow(_ entry: JournalEntry) {
    guard let id = entry.callID else { return }
    // Something learnt after a call's end opens it no more.
    if entry.type == CallEvent.Kind.updated.type, calls[id] == nil { return }
    calls[id] = entry.type == CallEvent.Kind.ended.type ? nil : entry
  }

  private func keep(_ entry: RenderedEntry) {
    recent.append(entry)
    recentBytes += Self.cost(of: entry.entry)
    while recentBytes > Self.recentLimit, recentStart < recent.count - 1 {
      recentBytes -= Self.cost(of: recent[recentStart].entry)
      recentStart += 1
    }
    guard recentStart > 512 else { return }
    recent.removeFirst(recentStart)
    recentStart = 0
  }

  /// With its renderings.
  private static func cost(of entry: JournalEntry) -> Int { 3 * entry.weight }

  // MARK: Subscribing

  package func add(_ subscriber: any Subscriber) { subscribers[ObjectIdentifier(subscriber)] = subscriber }

  package func remove(_ subscriber: any Subscriber) { subscribers[ObjectIdentifier(subscriber)] = nil }

  /// The next entries behind `after`, from memory where they are there.
  /// - Returns: nil when the journal could not be read.
  package func page(after: Position, limit: Int) async -> [RenderedEntry]? {
    if let page = recentPage(after: after, limit: limit) { return page }
    return await log.page(after: after, limit: limit)?.map { RenderedEntry($0) }
  }

  /// As `page`, at once; nil when it is not in memory.
  package func recentPage(after: Position, limit: Int) -> [RenderedEntry]? {
    recent(after: after).map { Array($0.prefix(limit)) }
  }

  /// All entries behind `after`; nil when not all of them are in memory.
  package func recent(after: Position) -> ArraySlice<RenderedEntry>? {
    if after >= head { return [] }
    let kept = recent[recentStart...]
    guard let first = kept.first, first.entry.position.value - 1 <= after.value else { return nil }
    // From the end, since most who ask lack one.
    let known = kept.lastIndex { $0.entry.position <= after }
    return kept[(known.map { $0 + 1 } ?? kept.startIndex)...]
  }

  /// Entries up to this position are gone by retention; nil while nothing is.
  package var lostBefore: Position? { log.oldest.value > 1 ? Position(log.oldest.value - 1) : nil }

  /// Whether everything behind `after` is still there.
  package func isComplete(after: Position) -> Bool { after.value >= log.oldest.value - 1 || after >= head }

  /// Whether an entry ever stood there. Beyond the newest nothing did: such a position is of another journal, or of what
  /// a backup that was brought back lacks.
  package func isOurs(_ position: Position) async -> Bool {
    if position <= head { return true }
    guard let page = await log.page(after: Position(position.value - 1), limit: 1) else { return true }
    return page.first?.position == position
  }

  // MARK: Calls

  /// The open calls as of `head`, oldest first.
  package var activeCalls: [JournalEntry] { calls.values.sorted { $0.position < $1.position } }

  package func activeCall(_ id: CallID) -> JournalEntry? { calls[id] }
}
