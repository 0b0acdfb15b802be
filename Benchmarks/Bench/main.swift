// What the rooms cost by themselves: decode, decode and normalise, append. One figure a line, for scripts/bench.sh.

import AsteriskSource
import Basics
import CallModel
import Glibc
import Journal
import Normaliser

func cpuSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func decode(_ bytes: [UInt8], _ rounds: Int) throws {
  var messages = 0
  let start = cpuSeconds()
  for _ in 0..<rounds {
    var decoder = AMIDecoder()
    for start in stride(from: 0, to: bytes.count, by: 65_536) {
      bytes[start..<min(start + 65_536, bytes.count)].withUnsafeBytes { decoder.feed($0) }
      while try decoder.next() { messages += 1 }
    }
  }
  let seconds = cpuSeconds() - start
  print("\(Int(Double(bytes.count) * Double(rounds) / 1e6 / seconds)) MB/s \(Int(Double(messages) / seconds)) events/s")
}

func normalise(_ bytes: [UInt8], _ rounds: Int) throws {
  var (messages, events) = (0, 0)
  let start = cpuSeconds()
  for _ in 0..<rounds {
    var (decoder, board) = (AMIDecoder(), Switchboard(source: "bench"))
    decoder.feed(bytes)
    while try decoder.next() {
      messages += 1
      if let observation = decoder.observation(at: Timestamp(microseconds: 0)) {
        events += board.apply(observation).count
      }
    }
  }
  let seconds = cpuSeconds() - start
  print("\(Int(Double(messages) / seconds)) events/s in, \(Int(Double(events) / seconds)) events/s out")
}

/// Calls of eight events, the last of which is their end.
func entry(_ index: Int, _ call: [UInt8]) -> JournalEntry {
  let isLast: Bool = index % 8 == 7
  let id = EventID(UUID(high: UInt64(index / 8) << 16, low: UInt64(index)))
  let callID = CallID(UUID(high: UInt64(index / 8) << 16, low: 1))
  return JournalEntry(
    position: .start, id: id, type: isLast ? "call.ended" : "call.leg.ringing", source: "bench", tenant: .standard,
    occurredAt: Timestamp(microseconds: 0), callID: callID, call: call, detail: Array("{}".utf8))
}

func append(_ path: String, _ count: Int, _ batch: Int) throws {
  let file = try JournalFile(path: path)
  var call = Call(id: CallID(UUID(high: 0, low: 1)), direction: .inbound, startedAt: Timestamp(microseconds: 0))
  call.from = Number(raw: "+15550001111")
  let bytes = call.json
  print("body \(bytes.count)")
  let entries = (0..<count).map { entry($0, bytes) }
  let start = Moment.now()
  for from in stride(from: 0, to: count, by: batch) {
    _ = try file.append(Array(entries[from..<min(from + batch, count)]))
  }
  print("\(Int(Double(count) / (Moment.now() - start).seconds)) rows/s")
}

let words = CommandLine.arguments
switch words.count > 1 ? words[1] : "" {
case "decode": try decode(try Files.read(words[2]), Int(words[3])!)
case "normalise": try normalise(try Files.read(words[2]), Int(words[3])!)
case "append": try append(words[2], Int(words[3])!, Int(words[4])!)
default: print("usage: bench decode FILE ROUNDS | normalise FILE ROUNDS | append PATH COUNT BATCH")
}
