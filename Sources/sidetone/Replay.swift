// sidetone replay: a recording through the normaliser, one native CloudEvent a line, the same on every machine.

internal import AsteriskSource
internal import Basics
internal import CallModel
internal import Loop
internal import Normaliser

extension Sidetone {
  static let replay = Command(
    name: "replay", summary: "show what a recorded session means, as events",
    usage: "replay --source asterisk FILE [--region US]",
    options: [.value("source"), .value("region")]
  ) { arguments in
    guard (arguments["source"] ?? "asterisk") == "asterisk" else {
      throw UsageError(description: "the only source of recordings is asterisk")
    }
    let path = try arguments.operand(0, "FILE")
    let recording = AMIRecording(bytes: try Files.read(path), times: timesBeside(path))
    var board = Switchboard(source: "sidetone://replay/asterisk", region: try region(arguments))
    var position = Position.start
    func show(_ events: [CallEvent]) {
      for event in events {
        position = Position(position.value + 1)
        Files.print(JournalEntry(event, at: position).native + [10])
      }
    }
    for observation in try recording.observations() { show(board.apply(observation)) }
    show(board.close(at: recording.endedAt, reason: "the recording ended"))
    return Exit.ok
  }

  private static func region(_ arguments: Arguments) throws(UsageError) -> PhoneRegion? {
    guard let code = arguments["region"] else { return nil }
    guard let region = PhoneRegion(code: code) else {
      throw UsageError(description: "--region needs one of \(PhoneRegion.known.map(\.code).joined(separator: ", "))")
    }
    return region
  }

  /// `NAME.times.jsonl` beside `NAME.txt`.
  static func timesBeside(_ path: String) -> String? {
    let stem = path.hasSuffix(".txt") ? String(path.dropLast(4)) : path
    return (try? Files.read(stem + ".times.jsonl")).map { String(decoding: $0, as: UTF8.self) }
  }
}
