// What of it is kept.

internal import Basics
internal import CallModel

extension Outbox {
  /// Everything up to here is settled or held.
  mutating func settledUpTo() -> Position {
    while let first = order.first, !unsettled.contains(first) { _ = order.popFirst() }
    return order.first.map { Position($0.value - 1) } ?? cursor
  }

  /// Entries that wait for a settlement.
  package var unsavedCount: Int { resolved }
  package var hasChanges: Bool { isDirty }

  /// Entries that were passed by are worth a write too, once in a while.
  package mutating func touch() { isDirty = isDirty || settledUpTo() > progress.checkpoint }

  /// Something that is kept together with the progress has changed.
  package mutating func markChanged() { isDirty = true }

  /// Others changed what is set aside.
  package mutating func setAsideCount(_ count: Int) {
    progress.setAside = count
    isDirty = true
  }

  /// What has changed since the last call; the caller tells when it is on disk.
  package mutating func takeSettlement() -> Settlement? {
    guard hasChanges else { return nil }
    progress.checkpoint = settledUpTo()
    done = done.filter { $0 > progress.checkpoint }
    progress.ahead = done.sorted()
    let settlement = Settlement(
      progress: progress, put: put.values.sorted { $0.position < $1.position }, dropped: dropped.sorted(),
      attempts: attempts, entries: resolved)
    (put, dropped, attempts, resolved, isDirty) = ([:], [], [], 0, false)
    return settlement
  }

  package mutating func saved(_ settlement: Settlement) { unsaved -= settlement.entries }

  package var counts: Progress { progress }
}
