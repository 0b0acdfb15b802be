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
func event(_ index: Int) -> CallEvent {
  let began = Timestamp(microseconds: Int64(index / 8) * 1000)
  let id = CallID(UUID(high: UInt64(index / 8) << 16, low: 1))
  var call = Call(id: id, direction: .inbound, startedAt: began)
  (call.from, call.to) = (Number(raw: "+15550001111"), Number(raw: "202"))
  let isLast = index % 8 == 7
  if isLast { (call.endedAt, call.disposition) = (began, .answered) }
  let eventID = EventID(UUID(high: UInt64(index / 8) << 16, low: UInt64(index)))
  return CallEvent(id: eventID, source: "bench", occurredAt: began, kind: isLast ? .ended : .ring, call: call)
}

func append(_ path: String, _ count: Int, _ batch: Int) throws {
  let file = try JournalFile(path: path)
  let entries = (0..<count).map { JournalEntry(event($0), at: .start) }
  print("body \(entries[0].weight)")
  let start = Moment.now()
  for from in stride(from: 0, to: count, by: batch) {
    _ = try file.append(Array(entries[from..<min(from + batch, count)]))
  }
  let seconds = (Moment.now() - start).seconds
  // Closing, with the checkpoint that comes with it, is not what is measured.
  withExtendedLifetime(file) { print("\(Int(Double(count) / seconds)) rows/s") }
}

let words = CommandLine.arguments
switch words.count > 1 ? words[1] : "" {
case "decode": try decode(try Files.read(words[2]), Int(words[3])!)
case "normalise": try normalise(try Files.read(words[2]), Int(words[3])!)
case "append": try append(words[2], Int(words[3])!, Int(words[4])!)
default: print("usage: bench decode FILE ROUNDS | normalise FILE ROUNDS | append PATH COUNT BATCH")
}
