// One at a time, in the order they came: for what looks at memory, waits for the disk, and changes memory by what it saw.

/// A queue for async work on the loop.
@LoopActor
package final class Turn {
  package private(set) var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  package nonisolated init() {}

  /// Returns when everybody who came before has finished; `end` must follow.
  package func begin() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  package func end() {
    if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
  }
}
