// Plays a recorded session to whoever logs in: with its own timing, faster, or all at once, cut wherever one likes.

package import Basics
package import Loop

@LoopActor
package final class RecordingPlayer {
  package struct Piece: Sendable {
    package let at: Timestamp
    package let bytes: [UInt8]
    package init(at: Timestamp, bytes: [UInt8]) { (self.at, self.bytes) = (at, bytes) }
  }

  private let pieces: [Piece]
  /// 1 is the recording's own pace, 20 is twenty times that, 0 is as one burst.
  private let speed: Double
  private var random: SeededRandom?
  package var onDone: @LoopActor () -> Void = {}

  /// - Parameter splitSeed: cuts the bytes at random places, the same for the same seed.
  package init(_ pieces: [Piece], speed: Double, splitSeed: UInt64? = nil) {
    (self.pieces, self.speed) = (pieces, speed)
    random = splitSeed.map { SeededRandom(seed: $0) }
  }

  package func play(to session: AMIServerSession) {
    guard let first = pieces.first else { return onDone() }
    guard speed > 0 else {
      send(pieces.flatMap(\.bytes), to: session)
      return onDone()
    }
    for (index, piece) in pieces.enumerated() {
      let delay = piece.at.seconds(since: first.at) / speed
      LoopActor.loop.after(.nanoseconds(Int64(delay * 1e9))) { [self] in
        send(piece.bytes, to: session)
        if index == pieces.count - 1 { onDone() }
      }
    }
  }

  private func send(_ bytes: [UInt8], to session: AMIServerSession) {
    guard random != nil else { return session.send(Chunk(bytes)) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let size = min(rest.count, Int.random(in: 1...300, using: &random!))
      session.send(Chunk(Array(rest.prefix(size))))
      rest = rest.dropFirst(size)
    }
  }
}
