// Reads the XAPI's list of active calls again and again, for as long as somebody holds it: once a second while there are
// calls, every two while there are none, and more seldom the longer it fails.

internal import Basics
internal import CallModel
internal import Loop

@LoopActor
final class ActiveCallsReader {
  enum News {
    case up
    case calls([Observation])
    /// It failed three times.
    case down(ThreeCXFault)
  }

  private let xapi: XAPI
  private let epoch: String
  private var board: ActiveCallsBoard
  /// What numbers are; asked for once.
  private var kinds: [String: PartyKind]?
  private var isUp = false
  private var failures = 0
  private var onNews: @LoopActor (News) -> Void = { _ in }

  init(_ client: ThreeCXClient, epoch: String) {
    (xapi, self.epoch, board) = (XAPI(client), epoch, ActiveCallsBoard(epoch: epoch))
  }

  func start(_ onNews: @escaping @LoopActor (News) -> Void) {
    self.onNews = onNews
    read()
  }

  private func read() {
    // Bounded requests; either way on leads to the next reading, until nobody holds this.
    LoopActor.begin { [weak self] in
      do throws(ThreeCXFault) { try await self?.readOnce() } catch { self?.failed(error) }
    }
  }

  private func readOnce() async throws(ThreeCXFault) {
    let kinds = if let kinds { kinds } else { try await xapi.kinds() }
    let calls = try await xapi.activeCalls()
    (self.kinds, failures) = (kinds, 0)
    let isFirst = !isUp
    isUp = true
    if isFirst { onNews(.up) }
    onNews(.calls(board.apply(calls, kinds: kinds, isFirst: isFirst, time: Timestamp.now())))
    readLater(.milliseconds(calls.isEmpty ? 2000 : 1000))
  }

  private func failed(_ fault: ThreeCXFault) {
    failures += 1
    if failures > 2, isUp {
      (isUp, board) = (false, ActiveCallsBoard(epoch: epoch))
      onNews(.down(fault))
    }
    readLater(.seconds(min(60, 1 << min(failures, 6))))
  }

  private func readLater(_ pause: Duration) { LoopActor.loop.after(pause) { [weak self] in self?.read() } }
}
