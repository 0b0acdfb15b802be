// Who is woken next? Everybody in turn, in pieces between which the loop hears the PBX: an event is read, and on its way
// to the disk, while the one before is still being told.

package import Loop

/// Somebody who is told. Called on the loop.
@LoopActor
package protocol Subscriber: AnyObject {
  /// There may be something behind what it has read. Comes once more, at most, after it was removed.
  func wake()
}

@LoopActor
final class Rounds {
  /// Subscribers of one piece: 0.2 ms of work.
  static let piece = 32

  private let everybody: @LoopActor () -> [any Subscriber]
  /// Who is still to be woken in the round that is under way.
  private var rest: ArraySlice<any Subscriber> = []
  /// Those who were woken already lack what came since.
  private var needsAnother = false
  private var isUnderWay = false
  /// Bytes that somebody may still lack.
  private var owed = 0

  init(_ everybody: @escaping @LoopActor () -> [any Subscriber]) { self.everybody = everybody }

  /// Has everybody woken for so many bytes more: in a round of its own, or in the rest of this one and the next; at once
  /// where more than `limit` is owed.
  func ask(_ bytes: Int, atMost limit: Int) {
    needsAnother = true
    owed += bytes
    if owed > limit { wakeAll() } else if !isUnderWay { goOn() }
  }

  private func wakeAll() {
    (rest, needsAnother, owed) = ([], false, 0)
    for subscriber in everybody() { subscriber.wake() }
  }

  private func goOn() {
    if rest.isEmpty, needsAnother {
      needsAnother = false
      rest = everybody()[...]
    }
    isUnderWay = !rest.isEmpty
    guard isUnderWay else {
      // Lets go of those who were woken, and may be gone.
      (rest, owed) = ([], 0)
      return
    }
    LoopActor.loop.whenTurnIsDone { [weak self] in self?.wakePiece() }
  }

  private func wakePiece() {
    let piece = rest.prefix(Self.piece)
    rest.removeFirst(piece.count)
    for subscriber in piece { subscriber.wake() }
    goOn()
  }
}
