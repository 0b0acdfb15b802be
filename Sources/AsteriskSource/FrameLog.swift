// The last megabyte of what Asterisk sent, so that one call's messages can be looked at after the fact.

internal import Basics

/// A ring of received bytes with their arrival; holds at most `limit` bytes.
struct FrameLog {
  static let limit = 1 << 20

  private var pieces: [(at: Timestamp, bytes: [UInt8])] = []
  private var size = 0

  init() {}

  mutating func append(_ bytes: UnsafeRawBufferPointer, at time: Timestamp) {
    pieces.append((time, Array(bytes)))
    size += bytes.count
    var gone = 0
    while size > Self.limit, gone < pieces.count {
      size -= pieces[gone].bytes.count
      gone += 1
    }
    if gone > 0 { pieces.removeFirst(gone) }
  }

  /// Whole messages that name any of these channels or groups, oldest first.
  func messages(naming ids: Set<String>, limit: Int = 1000) -> [(at: Timestamp, text: String)] {
    var decoder = AMIDecoder(expectsBanner: false)
    var found: [(Timestamp, String)] = []
    for piece in pieces {
      decoder.feed(piece.bytes)
      while found.count < limit, (try? decoder.next()) == true {
        let lines = decoder.all
        guard lines.contains(where: { ids.contains($0.value) }) else { continue }
        found.append((piece.at, lines.map { "\($0.key): \($0.value)" }.joined(separator: "\n")))
      }
    }
    return found
  }
}
