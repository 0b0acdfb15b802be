// The event loop on a thread of its own, for tests that need sockets.

internal import Foundation
internal import Loop

package enum LoopThread {
  /// Started once; touching it is enough.
  package static let isRunning: Bool = {
    let thread = Thread { LoopActor.loop.run() }
    thread.name = "loop"
    thread.start()
    return true
  }()
}

/// An await that fails instead of hanging for ever.
package struct Stuck: Error {
  package let what: String
}

/// Awaits a value that a callback gives, for at most `seconds`.
@LoopActor
package func eventually<T: Sendable>(
  _ what: String, within seconds: Double = 60, _ body: @LoopActor (@escaping @LoopActor (T) -> Void) -> Void
) async throws -> T {
  let result: Result<T, Stuck> = await withCheckedContinuation { continuation in
    var isDone = false
    func finish(_ result: Result<T, Stuck>) {
      guard !isDone else { return }
      isDone = true
      continuation.resume(returning: result)
    }
    let timer = LoopActor.loop.after(.nanoseconds(Int64(seconds * 1e9))) { finish(.failure(Stuck(what: what))) }
    body { value in
      LoopActor.loop.cancel(timer)
      finish(.success(value))
    }
  }
  return try result.get()
}
