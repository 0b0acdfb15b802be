// sidetone simulate: a PBX for people without one.

internal import AsteriskSource
internal import Basics
internal import Loop
internal import Simulator

extension Sidetone {
  static let simulate = Command(
    name: "simulate", summary: "be a PBX: an AMI server with calls of its own, or playing a recording",
    usage:
      "simulate 3cx [--listen ADDR] [--user ID] [--secret-file FILE] [--rate R] [--seed S] [--calls N] [--pace P] [--drop P] [--double P] [--swap P] [--close-every S] [--revoke-every S] [--restart-every S] [--token-secs S] [--clock-ahead S] [--cdr-sql FILE] [--no-call-control] [--no-xapi] | simulate asterisk [--listen ADDR] [--user NAME] [--secret-file FILE] [--rate R] [--seed S] [--calls N] [--pace P] | simulate asterisk --play FILE [--speed X]",
    options: [
      "listen", "user", "secret-file", "rate", "seed", "calls", "pace", "play", "speed", "drop", "double", "swap",
      "close-every", "revoke-every", "restart-every", "token-secs", "clock-ahead", "cdr-sql",
    ].map { .value($0) } + [.flag("no-call-control"), .flag("no-xapi")]
  ) { arguments in
    switch try arguments.operand(0, "which PBX") {
    case "3cx": return try await simulateThreeCX(arguments)
    case "asterisk": return try await simulateAsterisk(arguments)
    default: throw UsageError(description: "expected: simulate asterisk or simulate 3cx")
    }
  }

  @LoopActor private static func simulateAsterisk(_ arguments: Arguments) async throws -> Int32 {
    var settings = SimulatedPBX.Settings()
    settings.rate = try arguments.decimal("rate", default: 0.5)
    settings.seed = UInt64(try arguments.number("seed", default: 1))
    settings.pace = try arguments.decimal("pace", default: 1)
    if arguments.has("calls") { settings.calls = try arguments.number("calls", default: 0) }
    let server = AMIServer(try account(arguments), pbx: SimulatedPBX(settings))
    guard let place = Listener.Place(arguments["listen"] ?? "127.0.0.1:5038") else {
      throw UsageError(description: "--listen needs address:port")
    }
    try server.listen(at: place)
    try start(server, arguments)
    Files.print("ready ami://127.0.0.1:\(server.port)")
    return await untilSignal()
  }

  private static func account(_ arguments: Arguments) throws -> AMIServer.Account {
    let secret = try arguments["secret-file"].map {
      String(decoding: try Files.read($0, limit: 4096), as: UTF8.self).trimmed
    }
    return AMIServer.Account(username: arguments["user"] ?? "sidetone", secret: Secret(secret ?? "simulated"))
  }

  @LoopActor private static func start(_ server: AMIServer, _ arguments: Arguments) throws {
    guard let path = arguments["play"] else {
      var hasStarted = false
      server.onLogin = { _ in
        if !hasStarted { server.pbx.generate() }
        hasStarted = true
      }
      return
    }
    let recording = AMIRecording(bytes: try Files.read(path), times: timesBeside(path))
    server.recorded = RecordedAnswers(recording.messages.map(\.lines))
    let player = RecordingPlayer(
      recording.liveEvents.map { .init(at: $0.at, bytes: $0.bytes) }, speed: try arguments.decimal("speed", default: 1))
    server.onLogin = { session in player.play(to: session) }
  }

  @LoopActor static func untilSignal() async -> Int32 {
    await withCheckedContinuation { continuation in
      var isDone = false
      waiting = Signals([2, 15]) { _ in
        if !isDone { continuation.resume(returning: Exit.ok) }
        isDone = true
      }
    }
  }

  @LoopActor private static var waiting: Signals?
}
