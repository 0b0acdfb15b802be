// The command line: one file a command, each a function from arguments to an exit code.

internal import Agent
internal import Basics
internal import Config
internal import Glibc
internal import Loop

/// Exit codes of every command, after sysexits.h.
enum Exit {
  static let ok: Int32 = 0
  static let warnings: Int32 = 1
  static let broken: Int32 = 2
  static let usage: Int32 = 64
  static let unreachable: Int32 = 69
  static let badConfig: Int32 = 78
}

struct Command {
  let name: String
  let summary: String
  let usage: String
  let options: [Arguments.Option]
  var isHidden = false
  /// Words beside its options: where there are none, one too many is a slip, like a path without --config.
  var takesOperands = true
  let run: @LoopActor @Sendable (Arguments) async throws -> Int32
}

@main
enum Sidetone {
  @LoopActor static let commands: [Command] = [
    serve, check, status, tail, replay, trace, reconcile, destinations, resend, listen, keys, users, tenants, audit,
    prune, backup, restore, bundle, log, repair, config, simulate, completion, version, debug,
  ]

  static func main() {
    // A file-size limit that is reached is a full disk: an error to handle, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)
    let words = Array(CommandLine.arguments.dropFirst())
    // The one task of the process; the loop below runs until it has an exit code.
    LoopActor.begin {
      exitCode = await run(words)
      LoopActor.loop.stop()
    }
    LoopActor.loop.run()
    exit(LoopActor.assumeIsolated { exitCode })
  }

  @LoopActor private static var exitCode: Int32 = 0

  @LoopActor private static func run(_ words: [String]) async -> Int32 {
    guard let name = words.first, !["help", "--help", "-h"].contains(name) else {
      Files.print(overview, to: words.isEmpty ? 2 : 1)
      return words.isEmpty ? Exit.usage : Exit.ok
    }
    guard let command = commands.first(where: { $0.name == name || name == "--version" && $0.name == "version" }) else {
      Files.print("sidetone: there is no command '\(name)'; see sidetone help", to: 2)
      return Exit.usage
    }
    do {
      let arguments = try Arguments(words.dropFirst(), options: command.options)
      if arguments.has("help") {
        Files.print("usage: sidetone \(command.usage)\n\n\(command.summary)")
        return Exit.ok
      }
      if !command.takesOperands, let stray = arguments.operands.first {
        throw UsageError(description: "'\(stray)' is not of use here")
      }
      return try await command.run(arguments)
    } catch let error as UsageError {
      Files.print("sidetone \(name): \(error)\nusage: sidetone \(command.usage)", to: 2)
      return Exit.usage
    } catch {
      Files.print("sidetone \(name): \(error)", to: 2)
      return code(of: error)
    }
  }

  private static func code(of error: any Error) -> Int32 {
    switch error {
    case is ConfigFaults: Exit.badConfig
    case is AgentNotReachable: Exit.unreachable
    case let refusal as AgentRefusal where [400, 422].contains(refusal.status): Exit.usage
    default: Exit.broken
    }
  }

  @LoopActor private static var overview: String {
    let rows = commands.filter { !$0.isHidden }.map { command in
      "  " + command.name + String(repeating: " ", count: max(1, 14 - command.name.count)) + command.summary
    }
    return
      "sidetone \(Agent.version): what your PBX does, as events you can build on\n\n\(rows.joined(separator: "\n"))\n\nsidetone COMMAND --help says more."
  }
}
