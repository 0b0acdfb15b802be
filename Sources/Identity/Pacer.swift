// Half of a processor and no more: after each piece of work the worker rests for as long as it took, before it takes the
// next. One login feels nothing of it; a storm of them leaves the host to the PBX.

internal import Basics
internal import Glibc

/// Used on the worker's thread alone.
final class Pacer: @unchecked Sendable {
  private var restUntil = Moment(nanoseconds: 0)

  func run<T>(_ work: () -> T) -> T {
    let start = Moment.now()
    if start < restUntil { usleep(UInt32((restUntil - start).nanoseconds / 1000)) }
    let begin = Moment.now()
    defer { restUntil = Moment.now() + min(Moment.now() - begin, .seconds(1)) }
    return work()
  }
}
