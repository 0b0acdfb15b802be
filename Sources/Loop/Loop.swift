// The one thread that does the work: an epoll loop that is also a Swift executor, so that a handler, a timer and an
// `await` all run on the thread that owns the sockets (measured in docs/decisions/0001-runtime.md).
//
//   turn = jobs ─▶ epoll ─▶ handlers ─▶ timers ─▶ jobs ─▶ end-of-turn hooks (flush) ─▶ a piece of long work

internal import Basics
internal import CShims
internal import Glibc
internal import Synchronization

@globalActor
package actor LoopActor {
  package static let shared = LoopActor()
  package static let loop = Loop()

  nonisolated package var unownedExecutor: UnownedSerialExecutor { Self.loop.asUnownedSerialExecutor() }

  /// Enters the loop's isolation from code that is on its thread but that the compiler cannot see there: epoll
  /// handlers, C callbacks. Traps elsewhere.
  package nonisolated static func assumeIsolated<T: Sendable>(_ body: @LoopActor () throws -> T) rethrows -> T {
    precondition(shim_on_loop_thread() == 1, "not on the loop's thread")
    return try withoutActuallyEscaping(body) { body in
      try unsafeBitCast(body, to: (() throws -> T).self)()
    }
  }
}

extension LoopActor {
  /// Begins a task that stays on the loop's thread: with the preference, a continuation that another thread resumes
  /// comes straight back here, where without it the runtime's pool would carry it (and start threads to do so).
  /// Callable from any thread.
  package nonisolated static func begin(_ body: @escaping @LoopActor @Sendable () async -> Void) {
    Task(executorPreference: loop, operation: body)
  }
}

/// Something that gathered output during a turn and sends it at the turn's end.
@LoopActor
package protocol Flushable: AnyObject {
  func flush()
}

/// What epoll said of a descriptor.
package struct PollEvents: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let readable = PollEvents(rawValue: 0x001)
  package static let writable = PollEvents(rawValue: 0x004)
  package static let failed = PollEvents(rawValue: 0x008)
  package static let hungUp = PollEvents(rawValue: 0x010)
  package static let peerClosed = PollEvents(rawValue: 0x2000)

  /// There is something to read, if only the end.
  package var areReadable: Bool { rawValue & 0x2011 != 0 }
  /// It is over: nothing can be written any more.
  package var areLast: Bool { rawValue & 0x018 != 0 }
}

package final class Loop: SerialExecutor, TaskExecutor, @unchecked Sendable {
  package typealias Handler = @LoopActor (PollEvents) -> Void

  private struct Slot {
    var generation: UInt32 = 0
    var handler: Handler?
  }

  private let epoll = shim_epoll_create()
  private let wake = shim_eventfd()
  private let inbox = Mutex<[UnownedJob]>([])
  private var jobs: [UnownedJob] = []
  private var slots: [Slot] = []
  private var freeSlots: [Int] = []
  private var turnEnds: [@LoopActor () -> Void] = []
  private var leftOver: [@LoopActor () -> Void] = []
  private var dirty: [any Flushable] = []
  private var timers = TimerHeap()
  private var isStopped = false
  private var turnStart = Moment.now()
  private let readyTags = UnsafeMutablePointer<UInt64>.allocate(capacity: 256)
  private let readyEvents = UnsafeMutablePointer<UInt32>.allocate(capacity: 256)

  /// Longest turn since it was last asked for; over 20 ms is worth a warning.
  package private(set) var longestTurn: Duration = .zero

  fileprivate init() {
    precondition(epoll >= 0 && wake >= 0, "no descriptors left for the event loop")
    shim_epoll_set(epoll, wake, PollEvents.readable.rawValue, UInt64.max, 1)
  }

  // MARK: Executor

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if shim_on_loop_thread() == 1 {
      jobs.append(job)
    } else if inbox.withLock({ inbox in
      inbox.append(job)
      return inbox.count == 1
    }) {
      signal()
    }
  }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }

  package func checkIsolated() { precondition(shim_on_loop_thread() == 1, "not on the loop's thread") }

  package func isIsolatingCurrentContext() -> Bool? { shim_on_loop_thread() == 1 }

  private func signal() {
    var one: UInt64 = 1
    write(wake, &one, 8)
  }

  // MARK: Life

  /// Runs the loop on the calling thread until `stop()`. Called once, from `main`.
  package func run() {
    shim_mark_loop_thread()
    shim_settle_malloc()
    while !isStopped { LoopActor.assumeIsolated { turn() } }
  }

  @LoopActor package func stop() { isStopped = true }

  /// The longest turn since the last call.
  @LoopActor package func takeLongestTurn() -> Duration {
    defer { longestTurn = .zero }
    return longestTurn
  }

  @LoopActor private func turn() {
    runJobs()
    endTurn()
    let timeout = jobs.isEmpty && leftOver.isEmpty ? timers.millisecondsToNext(from: Moment.now()) : 0
    poll(timeout: timeout)
    for body in timers.takeDue(at: Moment.now()) { body() }
    runJobs()
    endTurn()
    runLeftOver()
    longestTurn = max(longestTurn, Moment.now() - turnStart)
  }

  @LoopActor private func poll(timeout: Int32) {
    let count = Int(shim_epoll_wait(epoll, readyTags, readyEvents, 256, timeout))
    turnStart = Moment.now()
    for index in 0..<max(0, count) { dispatch(readyTags[index], PollEvents(rawValue: readyEvents[index])) }
  }

  @LoopActor private func dispatch(_ tag: UInt64, _ events: PollEvents) {
    guard tag != .max else {
      var count: UInt64 = 0
      read(wake, &count, 8)
      return jobs.append(contentsOf: takeInbox())
    }
    let slot = slots[Int(truncatingIfNeeded: tag & 0xffff_ffff)]
    if slot.generation == UInt32(tag >> 32) { slot.handler?(events) }
  }

  private func takeInbox() -> [UnownedJob] {
    inbox.withLock { inbox in
      defer { inbox.removeAll(keepingCapacity: true) }
      return inbox
    }
  }

  /// Runs what is ready, in bounded rounds, so that jobs that make jobs cannot starve the sockets.
  private func runJobs() {
    for _ in 0..<16 where !jobs.isEmpty {
      let ready = jobs
      jobs.removeAll(keepingCapacity: true)
      for job in ready {
        job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
      }
    }
  }

  // MARK: Descriptors

  /// A descriptor being watched; `cancel()` before closing it.
  package struct Registration: Sendable {
    fileprivate let descriptor: Int32
    fileprivate let tag: UInt64
  }

  /// Calls `handler` whenever `descriptor` is ready, level-triggered.
  @LoopActor package func watch(_ descriptor: Int32, for events: PollEvents, _ handler: @escaping Handler)
    -> Registration
  {
    let index = freeSlots.popLast() ?? slots.count
    if index == slots.count { slots.append(Slot()) }
    slots[index].handler = handler
    let tag = UInt64(slots[index].generation) << 32 | UInt64(index)
    shim_epoll_set(epoll, descriptor, events.rawValue, tag, 1)
    return Registration(descriptor: descriptor, tag: tag)
  }

  @LoopActor package func change(_ registration: Registration, to events: PollEvents) {
    shim_epoll_set(epoll, registration.descriptor, events.rawValue, registration.tag, 0)
  }

  @LoopActor package func cancel(_ registration: Registration) {
    let index = Int(registration.tag & 0xffff_ffff)
    guard slots[index].generation == UInt32(registration.tag >> 32) else { return }
    shim_epoll_remove(epoll, registration.descriptor)
    slots[index] = Slot(generation: slots[index].generation &+ 1)
    freeSlots.append(index)
  }

  // MARK: Turn ends and timers

  /// Runs once, when this turn's handlers and jobs are done: the place to send what they wrote.
  @LoopActor package func atTurnEnd(_ body: @escaping @LoopActor () -> Void) { turnEnds.append(body) }

  /// Flushes it once at the end of this turn. The caller makes sure to ask only once a turn.
  @LoopActor package func flushAtTurnEnd(_ output: any Flushable) { dirty.append(output) }

  @LoopActor private func endTurn() {
    while !turnEnds.isEmpty || !dirty.isEmpty {
      let outputs = dirty
      dirty.removeAll(keepingCapacity: true)
      for output in outputs { output.flush() }
      let bodies = turnEnds
      turnEnds.removeAll(keepingCapacity: true)
      for body in bodies { body() }
    }
  }

  /// Runs once, when all else of this turn is done: a piece of work that is too long for one turn. What it leaves for
  /// another piece it asks for again, and the sockets are looked at in between.
  @LoopActor package func whenTurnIsDone(_ body: @escaping @LoopActor () -> Void) { leftOver.append(body) }

  @LoopActor private func runLeftOver() {
    guard !leftOver.isEmpty else { return }
    let bodies = leftOver
    leftOver.removeAll(keepingCapacity: true)
    for body in bodies { body() }
  }

  package struct Timer: Sendable {
    fileprivate let id: UInt64
  }

  @LoopActor @discardableResult
  package func after(_ span: Duration, _ body: @escaping @LoopActor () -> Void) -> Timer {
    Timer(id: timers.add(at: Moment.now() + span, body))
  }

  @LoopActor package func cancel(_ timer: Timer) { timers.cancel(timer.id) }

  /// Suspends for `span`; returns early, without throwing, when the task is cancelled before the wait begins.
  @LoopActor package func sleep(for span: Duration) async {
    if Task.isCancelled { return }
    await withCheckedContinuation { waiting in after(span) { waiting.resume() } }
  }
}
