// From the journal into the outbox, as far as there is room.

internal import Basics
internal import CallModel
internal import Loop

extension Courier {
  func read() {
    while !isReading, outbox.room > 0, outbox.cursor < tools.feed.head {
      guard let page = tools.feed.recentPage(after: outbox.cursor, limit: min(64, outbox.room)) else {
        // From the disk in pieces that are worth the way there.
        if outbox.room >= Self.worthReading || outbox.loadedCount == 0 { readPage(outbox.room) }
        return feedReplay()
      }
      if page.isEmpty { break }
      take(page)
    }
    feedReplay()
  }

  private static let worthReading = 128

  private func readPage(_ room: Int) {
    isReading = true
    let after = outbox.cursor
    // Ends by itself: one bounded read.
    LoopActor.begin { [self] in
      let page = await tools.feed.page(after: after, limit: min(256, room))
      isReading = false
      guard !isStopped else { return }
      guard let page else { return wake(after: .seconds(1)) }
      if page.isEmpty { return wake(after: .seconds(1)) }
      take(page)
      advance()
    }
  }

  private func take(_ page: [JournalEntry]) {
    for entry in page { outbox.offer(entry, isWanted: wants(entry)) }
  }

  func wants(_ entry: JournalEntry) -> Bool {
    if entry.type == EventFilter.heartbeatType {
      return record.hasHeartbeat && isQuiet(for: tools.heartbeat.seconds / 2)
    }
    return entry.tenant.uuid == record.tenant && record.filter.matches(entry)
  }

  /// Whether nothing was acknowledged for that many seconds.
  package func isQuiet(for seconds: Double) -> Bool {
    tools.wall().seconds(since: lastAccepted ?? state.since) >= seconds
  }
}
