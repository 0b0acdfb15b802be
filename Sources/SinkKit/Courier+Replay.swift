// Sending again: a span of the journal, or entries that were named.

internal import Basics
package import CallModel
internal import Health
internal import Loop

@LoopActor
extension Courier {
  /// - Returns: false while another one is under way.
  package func begin(_ replay: Replay) -> Bool {
    guard self.replay == nil else { return false }
    self.replay = replay
    outbox.markChanged()
    advance()
    return true
  }

  package func again(_ entries: [JournalEntry]) {
    for entry in entries { outbox.replay(entry, at: tools.now(), wall: tools.wall()) }
    advance()
  }

  /// Replayed entries join the held ones, a page at a time, for as long as there is room.
  func feedReplay() {
    guard let replay, !isReplaying, outbox.heldCount < record.limits.held / 2 else { return }
    isReplaying = true
    LoopActor.begin { [self] in
      let page = await tools.feed.page(after: replay.cursor, limit: 128)
      isReplaying = false
      guard !isStopped, let page else { return wake(after: .seconds(1)) }
      takeReplayed(page, replay)
      advance()
    }
  }

  func takeReplayed(_ page: [JournalEntry], _ replay: Replay) {
    var next = replay
    for entry in page where entry.position <= replay.until {
      next.cursor = entry.position
      let isChosen = replay.types.isEmpty || EventFilter(types: replay.types).matches(type: entry.type)
      guard isChosen, entry.type != EventFilter.heartbeatType, entry.tenant.uuid == record.tenant,
        record.filter.matches(entry)
      else { continue }
      outbox.replay(entry, at: tools.now(), wall: tools.wall())
    }
    let isOver = page.isEmpty || next.cursor >= replay.until || (page.last?.position ?? .start) > replay.until
    self.replay = isOver ? nil : next
    outbox.markChanged()
    if isOver { recountAside() }
  }

  /// Some of what was sent again may have been set aside before.
  func recountAside() {
    let record = record
    // One small query after what is being kept is kept.
    LoopActor.begin { [self] in
      await tools.book.flush()
      if let count = try? await tools.book.store.countAside(of: record) { asideChanged(to: count) }
    }
  }

  package func asideChanged(to count: Int) {
    outbox.setAsideCount(count)
    if count == 0 { tools.health.clear(SinkCondition.setAside, on: subject) }
  }
}
