// sidetone simulate 3cx: tokens, Call Control with its WebSocket, some XAPI, and what goes wrong with them.

internal import Basics
internal import Loop
internal import Simulator

extension Sidetone {
  @LoopActor static func simulateThreeCX(_ arguments: Arguments) async throws -> Int32 {
    let seed = UInt64(try arguments.number("seed", default: 1))
    let world = ThreeCXWorld(seed: seed)
    world.faults.drop = try arguments.decimal("drop", default: 0)
    world.faults.double = try arguments.decimal("double", default: 0)
    world.faults.swap = try arguments.decimal("swap", default: 0)
    var settings = ThreeCXServer.Settings()
    settings.clientID = arguments["user"] ?? settings.clientID
    if let path = arguments["secret-file"] {
      settings.clientSecret = String(decoding: try Files.read(path, limit: 4096), as: UTF8.self).trimmed
    }
    settings.tokenSeconds = try arguments.number("token-secs", default: 3600)
    settings.clockOffset = try arguments.decimal("clock-ahead", default: 0)
    settings.hasCallControl = !arguments.has("no-call-control")
    settings.hasXAPI = !arguments.has("no-xapi")
    let server = ThreeCXServer(world: world, settings: settings)
    guard let place = Listener.Place(arguments["listen"] ?? "127.0.0.1:5004") else {
      throw UsageError(description: "--listen needs address:port")
    }
    try server.listen(at: place)
    try writeRecords(of: world, to: arguments["cdr-sql"])
    server.work(try work(arguments, seed))
    Files.print("ready http://127.0.0.1:\(server.port)")
    return await untilSignal()
  }

  /// Statements for psql, in a file that grows as calls end.
  @LoopActor private static func writeRecords(of world: ThreeCXWorld, to path: String?) throws {
    guard let path else { return }
    try Files.writePrivate(path, Array(ThreeCXRecords.schema.utf8))
    kept = ThreeCXRecords(world) { statement in try? Files.append(path, Array(statement.utf8)) }
  }

  @LoopActor private static var kept: ThreeCXRecords?

  private static func work(_ arguments: Arguments, _ seed: UInt64) throws -> ThreeCXServer.Work {
    var work = ThreeCXServer.Work()
    work.seed = seed
    work.rate = try arguments.decimal("rate", default: 0.5)
    work.pace = try arguments.decimal("pace", default: 1)
    if arguments.has("calls") { work.calls = try arguments.number("calls", default: 0) }
    if arguments.has("close-every") { work.closeEvery = try arguments.decimal("close-every", default: 0) }
    if arguments.has("revoke-every") { work.revokeEvery = try arguments.decimal("revoke-every", default: 0) }
    if arguments.has("restart-every") { work.restartEvery = try arguments.decimal("restart-every", default: 0) }
    return work
  }
}
