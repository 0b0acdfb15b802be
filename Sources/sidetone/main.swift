import AsteriskSource
import Basics
import CallModel
import Normaliser

let path = CommandLine.arguments[1]
let bytes = try Files.read(path)
let times = (try? Files.read(String(path.dropLast(4)) + ".times.jsonl")).map { String(decoding: $0, as: UTF8.self) }
let recording = AMIRecording(bytes: bytes, times: times)
var board = Switchboard(source: "sidetone://replay/asterisk")
var position: Int64 = 0
@MainActor func show(_ events: [CallEvent]) {
  for event in events {
    position += 1
    Files.print(JournalEntry(event, at: Position(position)).native + [10])
  }
}
for observation in try recording.observations() { show(board.apply(observation)) }
show(board.close(at: recording.endedAt, reason: "the recording ended"))
