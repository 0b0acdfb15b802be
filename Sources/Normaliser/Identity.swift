// Identifiers that the same observation always gets again, which is what makes the journal's append idempotent.

internal import Basics
internal import CallModel
internal import Crypto

enum Identity {
  static func call(source: String, epoch: String, key: String, firstSeen: Timestamp) -> CallID {
    CallID(make([source, epoch, key, "call"], firstSeen))
  }

  static func event(
    source: String, epoch: String, key: String, type: String, participant: String, ordinal: Int, firstSeen: Timestamp
  ) -> EventID {
    EventID(make([source, epoch, key, type, participant, String(ordinal)], firstSeen))
  }

  /// UUID version 8: the first-seen milliseconds, then SHA-256 of the parts, each ended by a zero byte.
  private static func make(_ parts: [String], _ firstSeen: Timestamp) -> UUID {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(160)
    for part in parts {
      bytes.append(contentsOf: part.utf8)
      bytes.append(0)
    }
    return UUID(milliseconds: firstSeen.milliseconds, digest: Digest.sha256Halves(bytes))
  }
}
