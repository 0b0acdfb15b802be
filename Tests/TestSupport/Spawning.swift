// One program is started at a time. Foundation gives a child every descriptor that another thread opens between two
// steps of the start, and a pipe whose other end lives in a stranger has no end of its own.

package import Foundation

private let starting = NSLock()

extension Process {
  /// `run()`, by itself.
  package func begin() throws { try starting.withLock { try run() } }
}

extension Pipe {
  /// A pipe that no program has that is being started meanwhile.
  package static func make() -> Pipe { starting.withLock { Pipe() } }
}

/// Starts a program that one spawns by hand.
package func startAlone<T>(_ body: () throws -> T) rethrows -> T { try starting.withLock(body) }

extension Process {
  /// Ends it with the tests, for nobody calls `deinit` then.
  package func endWithTests() { leftOvers.append(processIdentifier) }
}

private final class LeftOvers: @unchecked Sendable {
  private let lock = NSLock()
  private var pids: [Int32] = []

  init() { atexit { for pid in leftOvers.lock.withLock({ leftOvers.pids }) { kill(pid, SIGKILL) } } }

  func append(_ pid: Int32) { lock.withLock { pids.append(pid) } }
}

private let leftOvers = LeftOvers()
