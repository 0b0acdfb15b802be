// A recorded AMI session read back as observations, for `sidetone replay` and for tests.

package import Basics
package import CallModel

/// The bytes of one connection as the server sent them, with the time of each message where that was recorded.
package struct AMIRecording: Sendable {
  package struct Mark: Sendable {
    package let at: Timestamp
    package let range: Range<Int>
    package init(at: Timestamp, range: Range<Int>) { (self.at, self.range) = (at, range) }
  }

  package let bytes: [UInt8]
  /// In order; covers every byte.
  package let marks: [Mark]
  package let closedAt: Timestamp?

  package init(bytes: [UInt8], marks: [Mark], closedAt: Timestamp?) {
    (self.bytes, self.marks, self.closedAt) = (bytes, marks, closedAt)
  }

  /// - Parameter times: the text of `NAME.times.jsonl`: `{"t","dir":"in","off","len"}` a message, `{"t","ev"}`.
  package init(bytes: [UInt8], times: String?) {
    self.bytes = bytes
    var marks: [Mark] = []
    var closedAt: Timestamp?
    for line in (times ?? "").split(separator: "\n") {
      guard let time = Self.number("t", in: line) else { continue }
      if line.contains("\"ev\"") {
        if line.contains("closed") { closedAt = Timestamp(seconds: time) }
      } else if line.contains("\"in\""), let offset = Self.number("off", in: line),
        let length = Self.number("len", in: line)
      {
        let (from, to) = (Int(offset), Int(offset + length))
        if from >= 0, from <= to, to <= bytes.count {
          marks.append(Mark(at: Timestamp(seconds: time), range: from..<to))
        }
      }
    }
    self.marks = marks.isEmpty ? [Mark(at: Timestamp(microseconds: 0), range: 0..<bytes.count)] : marks
    self.closedAt = closedAt
  }

  private static func number(_ name: String, in line: Substring) -> Double? {
    guard let key = line.firstRange(of: "\"\(name)\":") else { return nil }
    return Double(String(line[key.upperBound...].drop { $0 == " " }.prefix { $0.isNumber || $0 == "." || $0 == "-" }))
  }

  /// Every observation in order. Lists that answered a client's questions are a snapshot, which ends when the next
  /// live event comes; the link ends with the recording.
  package func observations() throws(AMIFault) -> [Observation] {
    var decoder = AMIDecoder()
    var found: [Observation] = []
    var clock = AMIClock()
    var isInSnapshot = false
    var last = marks.first?.at ?? Timestamp(microseconds: 0)
    for mark in marks {
      last = mark.at
      decoder.feed(Array(bytes[mark.range]))
      while try decoder.next() {
        guard let observation = decoder.observation(at: mark.at) else { continue }
        if observation.fact.isOfSnapshot {
          isInSnapshot = true
        } else if isInSnapshot {
          found.append(Observation(at: mark.at, .snapshotEnded))
          isInSnapshot = false
        }
        found.append(clock.corrected(observation))
      }
    }
    if isInSnapshot { found.append(Observation(at: last, .snapshotEnded)) }
    return found
  }

  /// Every whole message, with its bytes.
  package var messages: [(at: Timestamp, bytes: [UInt8], lines: [(key: String, value: String)])] {
    marks.compactMap { mark in
      var decoder = AMIDecoder(expectsBanner: false)
      decoder.feed(Array(bytes[mark.range]))
      guard (try? decoder.next()) == true else { return nil }
      return (mark.at, Array(bytes[mark.range]), decoder.all)
    }
  }

  /// What the server said of its own accord: no answers, no greeting.
  package var liveEvents: [(at: Timestamp, bytes: [UInt8])] {
    messages.filter { message in
      let first = message.lines.first
      return first?.key == "Event" && first?.value != "FullyBooted"
        && !message.lines.contains { $0.key == "ActionID" && first?.value != "OriginateResponse" }
    }.map { ($0.at, $0.bytes) }
  }

  package var endedAt: Timestamp { closedAt ?? marks.last?.at ?? Timestamp(microseconds: 0) }
}

extension Observation.Fact {
  package var isOfSnapshot: Bool {
    switch self {
    case .snapshotChannel, .snapshotBridge, .snapshotQueued, .snapshotParked: true
    default: false
    }
  }
}
