// A thread of its own for what can block: SQLite, bcrypt, files. Work is done in the order given.

internal import CShims
internal import Glibc
internal import Synchronization

/// One named thread with a first-in, first-out queue.
package final class Worker: Sendable {
  private struct State {
    var jobs: [@Sendable () -> Void] = []
    var isStopped = false
  }

  /// How the processor is shared with it.
  package enum Share: Sendable {
    case usual
    /// Works in short bursts that somebody waits for.
    case prompt
    /// Runs when nothing else wants the processor, the PBX before all (nice 19).
    case background
  }

  private let state = Mutex(State())
  private let ready: Semaphore

  /// - Parameter name: at most 15 bytes; what `top -H` shows.
  package init(name: String, share: Share = .usual) {
    ready = Semaphore()
    switch share {
    case .usual: break
    case .prompt: post { shim_prefer_short_slices() }
    case .background: post { shim_lower_thread_priority() }
    }
    let context = Unmanaged.passRetained(self).toOpaque()
    let failed = shim_start_thread(name, 512 << 10, { Worker.main($0!) }, context)
    precondition(failed == 0, "no thread to be had for \(name)")
  }

  private static func main(_ context: UnsafeMutableRawPointer) {
    let worker = Unmanaged<Worker>.fromOpaque(context).takeRetainedValue()
    while let jobs = worker.next() { for job in jobs { job() } }
  }

  private func next() -> [@Sendable () -> Void]? {
    while true {
      let (jobs, isStopped) = state.withLock { state in
        defer { state.jobs = [] }
        return (state.jobs, state.isStopped)
      }
      if !jobs.isEmpty { return jobs }
      if isStopped { return nil }
      ready.wait()
    }
  }

  /// Queues the work and returns at once.
  package func post(_ job: @escaping @Sendable () -> Void) {
    state.withLock { $0.jobs.append(job) }
    ready.signal()
  }

  /// Does the work on the thread and gives its result.
  @LoopActor package func run<T: Sendable, Failure: Error>(_ work: @escaping @Sendable () throws(Failure) -> T)
    async throws(Failure) -> T
  {
    let result: Result<T, Failure> = await withCheckedContinuation(isolation: LoopActor.shared) { waiting in
      post { waiting.resume(returning: Result(catching: work)) }
    }
    return try result.get()
  }

  /// Lets the thread end once its queue is empty.
  package func stop() {
    state.withLock { $0.isStopped = true }
    ready.signal()
  }
}

private final class Semaphore: @unchecked Sendable {
  private let handle = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(handle, 0, 0) }

  deinit {
    sem_destroy(handle)
    handle.deallocate()
  }

  func signal() { sem_post(handle) }

  func wait() { while sem_wait(handle) != 0 && errno == EINTR {} }
}
