// Deadlines in a binary heap. Cancelling forgets the body and leaves the entry to fall out when it is due.

internal import Basics

struct TimerHeap {
  private struct Entry {
    let deadline: Moment
    let id: UInt64
  }

  private var heap: [Entry] = []
  private var bodies: [UInt64: @LoopActor () -> Void] = [:]
  private var lastID: UInt64 = 0

  mutating func add(at deadline: Moment, _ body: @escaping @LoopActor () -> Void) -> UInt64 {
    lastID += 1
    bodies[lastID] = body
    heap.append(Entry(deadline: deadline, id: lastID))
    siftUp(heap.count - 1)
    return lastID
  }

  mutating func cancel(_ id: UInt64) { bodies[id] = nil }

  /// For epoll: -1 when nothing is due ever; rounded up, so that a timer is never early.
  mutating func millisecondsToNext(from now: Moment) -> Int32 {
    while let first = heap.first, bodies[first.id] == nil { removeFirst() }
    guard let first = heap.first else { return -1 }
    return Int32(clamping: max(0, (first.deadline.nanoseconds - now.nanoseconds + 999_999) / 1_000_000))
  }

  /// What is due, in order of deadlines, taken out. The caller runs it: a timer's body may set timers.
  mutating func takeDue(at now: Moment) -> [@LoopActor () -> Void] {
    var due: [@LoopActor () -> Void] = []
    while let first = heap.first, first.deadline <= now {
      if let body = bodies.removeValue(forKey: first.id) { due.append(body) }
      removeFirst()
    }
    return due
  }

  private mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    siftDown(0)
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0, heap[index].deadline < heap[(index - 1) / 2].deadline {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func siftDown(_ start: Int) {
    var index = start
    while true {
      let least = [2 * index + 1, 2 * index + 2].filter { $0 < heap.count }
        .min { heap[$0].deadline < heap[$1].deadline }
      guard let least, heap[least].deadline < heap[index].deadline else { return }
      heap.swapAt(index, least)
      index = least
    }
  }
}
