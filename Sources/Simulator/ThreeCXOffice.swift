// An office on a simulated 3CX: stories at a rate, with people who are not on two calls at once where that can be had.

internal import Basics
internal import Loop

extension ThreeCXServer {
  package struct Work: Sendable {
    /// Calls a second.
    package var rate = 0.5
    package var calls: Int?
    package var pace = 1.0
    package var seed: UInt64 = 1
    /// Seconds between faults of a kind; nil for never.
    package var closeEvery: Double?
    package var revokeEvery: Double?
    package var restartEvery: Double?
    package init() {}
  }

  package func work(_ work: Work) {
    var random = SeededRandom(seed: work.seed)
    var made = 0
    @LoopActor func next() {
      if let limit = work.calls, made >= limit { return }
      play(made, work, &random)
      made += 1
      let gap = random.seconds(0.5...1.5) / max(work.rate, 0.001)
      LoopActor.loop.after(.nanoseconds(Int64(gap * 1e9))) { next() }
    }
    next()
    every(work.closeEvery) { [unowned self] in closeSockets() }
    every(work.revokeEvery) { [unowned self] in revokeToken() }
    every(work.restartEvery) { [unowned self] in restart() }
  }

  private func play(_ number: Int, _ work: Work, _ random: inout SeededRandom) {
    let story = ThreeCXStory.all[Int.random(in: 0..<ThreeCXStory.all.count, using: &random)]
    var cast = ThreeCXStory.Cast()
    let first = 100 + number * 3 % 36
    (cast.one, cast.two, cast.three) = (String(first), String(first + 1), String(first + 2))
    cast.outside = "+1555\(1_000_000 + number % 9_000_000)"
    story.play(
      in: world, cast, pace: work.pace,
      after: { seconds, body in LoopActor.loop.after(.nanoseconds(Int64(seconds * 1e9)), body) }, onEnd: {})
  }

  private func every(_ seconds: Double?, _ body: @escaping @LoopActor () -> Void) {
    guard let seconds, seconds > 0 else { return }
    LoopActor.loop.after(.nanoseconds(Int64(seconds * 1e9))) { [weak self] in
      guard let self else { return }
      body()
      every(seconds, body)
    }
  }
}
