// One subscriber's way through the journal: live while it keeps up, read for while it catches up.
//
//   catching up ─(read up to the head)─▶ live
//
// In both the bound is the same: what waits for the client in memory never passes its limit.

internal import CallModel
internal import Hub
internal import Loop

/// Where a feed puts its entries.
@LoopActor
protocol FeedSink: AnyObject {
  /// Sends the entry to the client, at once or with the rest of the turn.
  func send(_ entry: RenderedEntry, isAlone: Bool)
  var queuedBytes: Int { get }
  /// History before `oldest` is gone by retention.
  func historyLost(after: Position, oldest: Position)
  /// The journal could not be read; the client should come again.
  func failed()
}

@LoopActor
final class Feed: Subscriber {
  private(set) var cursor: Position
  private unowned let sink: any FeedSink
  private let hub: Hub
  private let tenant: TenantID
  private var isLive = false
  private var isReading = false
  private var isStopped = false
  /// An entry is being sent: what it pushes out is no reason to send the next, out of turn.
  private var isGiving = false
  /// Of the page last read, what the client was not given yet.
  private var unread: ArraySlice<RenderedEntry> = []
  /// While more than this waits for the client, catching up pauses: far below the bound that would end it.
  private let highWater: Int

  init(after: Position, of tenant: TenantID, hub: Hub, sink: any FeedSink, queueLimit: Int) {
    (cursor, self.tenant, self.hub, self.sink) = (after, tenant, hub, sink)
    highWater = queueLimit / 4
  }

  func start() {
    guard cursor > hub.head else { return begin() }
    // Ends by itself: one bounded read.
    LoopActor.begin { [self] in
      let isOurs = await hub.isOurs(cursor)
      guard !isStopped else { return }
      if !isOurs {
        sink.historyLost(after: cursor, oldest: Position(hub.head.value + 1))
        cursor = hub.head
      }
      begin()
    }
  }

  private func begin() {
    if !hub.isComplete(after: cursor), let lost = hub.lostBefore {
      sink.historyLost(after: cursor, oldest: Position(lost.value + 1))
      cursor = lost
    }
    hub.add(self)
    advance()
  }

  func stop() {
    isStopped = true
    hub.remove(self)
  }

  /// The client took what waited for it.
  func drained() {
    if isLive || isGiving { return }
    if unread.isEmpty { advance() } else { givePage(unread) }
  }

  func wake() {
    guard isLive, !isStopped else { return }
    guard let fresh = hub.recent(after: cursor) else {
      isLive = false
      return advance()
    }
    let isAlone = fresh.count == 1
    for entry in fresh where !isStopped { give(entry, isAlone: isAlone) }
  }

  private func give(_ entry: RenderedEntry, isAlone: Bool = false) {
    isGiving = true
    defer { isGiving = false }
    cursor = entry.entry.position
    if entry.entry.tenant == tenant { sink.send(entry, isAlone: isAlone) }
  }

  private func advance() {
    while !isReading, !isStopped, !isLive, unread.isEmpty, sink.queuedBytes < highWater {
      if cursor >= hub.head {
        isLive = true
        return
      }
      guard let page = hub.recentPage(after: cursor, limit: 8) else { return readPage() }
      for entry in page where !isStopped { give(entry) }
    }
  }

  /// Hands over a page that was read, pausing while the client has enough to take.
  private func givePage(_ page: ArraySlice<RenderedEntry>) {
    var rest = page
    while !isStopped, sink.queuedBytes < highWater, let entry = rest.popFirst() { give(entry) }
    unread = rest
    if rest.isEmpty { advance() }
  }

  private func readPage() {
    isReading = true
    // Ends by itself: a page is one bounded read, and a stopped feed ignores its result.
    LoopActor.begin { [self] in
      let page = await hub.page(after: cursor, limit: 64)
      isReading = false
      guard !isStopped else { return }
      guard let page else { return sink.failed() }
      if page.isEmpty { cursor = max(cursor, hub.head) }
      givePage(page[...])
    }
  }
}
