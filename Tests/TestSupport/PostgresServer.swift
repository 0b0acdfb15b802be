// A real PostgreSQL of one's own: started by the test, on a Unix socket, under a user without rights, gone with it.

internal import Basics
internal import Foundation
internal import Glibc
internal import Postgres

package final class PostgresServer: @unchecked Sendable {
  package struct CannotStart: Error, CustomStringConvertible {
    package let description: String
  }

  /// One for all tests of a run that need no trouble of their own; each takes a database of its own.
  package static let shared = Result { try PostgresServer() }

  private let folder: String
  private let lock = NSLock()
  private var databases = 0

  private let isLogging: Bool

  /// - Parameter isLogging: writes every statement down, after the application's name and a bar.
  package init(isLogging: Bool = false) throws {
    self.isLogging = isLogging
    folder = "/tmp/sidetone-pg-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    if getuid() == 0 { chown(folder, 65_534, 65_534) }
    try run(
      ["initdb", "--pgdata", folder + "/data", "--username", "sidetone", "--auth", "trust", "--no-sync"])
    try start()
    let folder = folder
    atexitFolders.append(folder)
  }

  package func start() throws {
    let logging = isLogging ? " -c log_statement=all -c log_line_prefix='%a|'" : ""
    let options = "-c listen_addresses='' -c unix_socket_directories='\(folder)' -c fsync=off\(logging)"
    try run(["pg_ctl", "start", "--wait", "--pgdata", folder + "/data", "--log", folder + "/log", "--options", options])
  }

  /// What the server wrote down.
  package var log: String { (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "" }

  /// Ends it as a machine that goes down would: at once, with whatever it was doing.
  package func stop() throws {
    try run(["pg_ctl", "stop", "--mode", "immediate", "--wait", "--pgdata", folder + "/data"])
  }

  /// Stops it in the middle of whatever it does, or lets it go on.
  package func freeze(_ isFrozen: Bool) {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    for entry in all.compactMap({ Int32($0) }) {
      let line = (try? String(contentsOfFile: "/proc/\(entry)/cmdline", encoding: .utf8)) ?? ""
      let folderOfProcess = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(entry)/cwd")) ?? ""
      if line.hasPrefix("postgres") || line.contains("/postgres"), folderOfProcess == folder + "/data" {
        kill(entry, isFrozen ? SIGSTOP : SIGCONT)
      }
    }
  }

  /// The address of a new, empty database.
  package func makeDatabase(_ script: String) throws -> String {
    let address = try makeDatabase()
    try PostgresConnection(Secret(address), connectWithin: .seconds(10), answerWithin: .seconds(300))
      .script(unsafe: script)
    return address
  }

  package func makeDatabase() throws -> String {
    lock.lock()
    databases += 1
    let name = "test\(databases)"
    lock.unlock()
    let connection = try PostgresConnection(
      Secret(address("postgres")), connectWithin: .seconds(5), answerWithin: .seconds(20))
    try connection.script(unsafe: "CREATE DATABASE \(name)")
    return address(name)
  }

  private func address(_ database: String) -> String { "postgresql://sidetone@/\(database)?host=\(folder)" }

  /// Debian keeps the server's programs off the PATH.
  private static let inItsFolder = "cd \"$0\" && PATH=\"$PATH:$(echo /usr/lib/postgresql/*/bin)\" exec \"$@\""

  /// Spawned by hand: Foundation's `Process` waits for the server that `pg_ctl` leaves behind.
  private func run(_ command: [String]) throws {
    let drop = getuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
    let words = (["sh", "-c", Self.inItsFolder, folder] + drop + command).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, folder + "/said", O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // A server that stays must not keep a stranger's pipe open; of what is closed already glibc makes no fault.
    for descriptor in Int32(3)..<2048 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var (pid, status): (pid_t, Int32) = (0, 0)
    guard startAlone({ posix_spawnp(&pid, words[0]!, &actions, nil, words, environ) }) == 0,
      waitpid(pid, &status, 0) == pid,
      status == 0
    else {
      let said = ["said", "log"].compactMap { try? String(contentsOfFile: folder + "/" + $0, encoding: .utf8) }
      let place = "is the Debian package postgresql installed, and on the PATH?"
      throw CannotStart(description: "\(command[0]) failed; \(place) \(said.joined().suffix(600))")
    }
  }

  deinit { Self.remove(folder) }

  fileprivate static func remove(_ folder: String) {
    if let line = try? String(contentsOfFile: folder + "/data/postmaster.pid", encoding: .utf8),
      let pid = line.split(separator: "\n").first.flatMap({ Int32($0) })
    {
      kill(pid, SIGCONT)
      kill(pid, SIGQUIT)
    }
    try? FileManager.default.removeItem(atPath: folder)
  }
}

/// Servers that live as long as the process, for which nobody calls `deinit`.
private final class FoldersAtExit: @unchecked Sendable {
  private let lock = NSLock()
  private var folders: [String] = []

  init() { atexit { for folder in atexitFolders.folders { PostgresServer.remove(folder) } } }

  func append(_ folder: String) {
    lock.lock()
    defer { lock.unlock() }
    folders.append(folder)
  }
}

private let atexitFolders = FoldersAtExit()
