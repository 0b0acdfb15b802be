// sidetone backup, restore, log, bundle: the state kept elsewhere and brought back, and what support asks for.

internal import Agent
internal import Basics
internal import Config
internal import Glibc
internal import JSON
internal import Journal
internal import Loop
internal import SQLite

extension Sidetone {
  static let backup = Command(
    name: "backup", summary: "copy the journal and the state into a folder, while the agent runs or not",
    usage: "backup FOLDER [--config FILE]", options: [.value("config")]
  ) { arguments in
    let config = try AgentConfig.load(arguments)
    let folder = try arguments.operand(0, "FOLDER")
    try Files.makeFolder(folder)
    for (from, name) in Archive.databases(config) where Files.exists(from) {
      let to = folder + "/" + name
      guard !Files.exists(to) else { throw UsageError(description: "\(to) is there already; give a new folder") }
      try Archive.copy(database: from, to: to)
      Files.print("\(name) copied", to: 2)
    }
    if Files.exists(config.secretPath) {
      try Files.writePrivate(folder + "/server.secret", try Files.read(config.secretPath, limit: 4096))
    }
    if !config.storage.url.isEmpty { Files.print("the state is in PostgreSQL: back it up there (pg_dump)", to: 2) }
    Files.print("kept in \(folder); it holds the secret that sessions and webhooks are signed with", to: 2)
    return Exit.ok
  }

  static let restore = Command(
    name: "restore", summary: "bring a backup back; what is there is set aside beside it",
    usage: "restore FOLDER [--config FILE]", options: [.value("config")]
  ) { arguments in
    let config = try AgentConfig.load(arguments)
    let folder = try arguments.operand(0, "FOLDER")
    guard Files.exists(folder + "/journal.db") else { throw UsageError(description: "\(folder) holds no backup") }
    if (try? await ControlClient(config).call("GET", "/livez")) != nil {
      throw UsageError(description: "the agent runs; stop it first")
    }
    let stamp = Timestamp.now().description.replacing(":", with: "")
    for (to, name) in Archive.databases(config) + [(config.secretPath, "server.secret")] {
      guard Files.exists(folder + "/" + name) else { continue }
      // The write-ahead log belongs to the database that goes.
      for tail in ["", "-wal", "-shm"] where Files.exists(to + tail) {
        rename(to + tail, to + ".before-\(stamp)" + tail)
      }
      try Archive.copy(file: folder + "/" + name, to: to, like: config.dataFolder)
      if name == "journal.db" { try JournalFile(path: to).skipAhead() }
      Files.print("\(name) restored", to: 2)
    }
    return Exit.ok
  }

  static let log = Command(
    name: "log", summary: "say more or less in the log of the running agent, until its next start",
    usage: "log error|warning|notice|info|debug|trace [--config FILE]", options: [.value("config")]
  ) { arguments in
    let level = try arguments.operand(0, "LEVEL")
    var body = JSONWriter()
    body.object { $0.field("level", level) }
    _ = try await ControlClient(try AgentConfig.load(arguments)).call("PUT", "/admin/api/log-level", body: body.bytes)
    Files.print("the log says \(level) and above now", to: 2)
    return Exit.ok
  }

  static let bundle = Command(
    name: "bundle", summary: "one file for support, without secrets, numbers and names",
    usage: "bundle [FILE] [--config FILE]", options: [.value("config")]
  ) { arguments in
    let desk = try StateDesk(arguments)
    var json = JSONWriter()
    let parts = [
      ("health", "/admin/api/health"), ("errors", "/admin/api/errors"), ("overview", "/admin/api/overview"),
      ("configuration", "/admin/api/config"), ("capabilities", "/api/capabilities"),
    ]
    var found: [(String, JSONValue)] = []
    for (name, path) in parts { found.append((name, (try? await desk.ask("GET", path)) ?? .null)) }
    let destinations = try? await desk.ask("GET", "/api/destinations")
    json.object { json in
      json.field("version", Agent.version)
      json.field("at", Timestamp.now())
      for (name, value) in found {
        json.key(name)
        Archive.redacted(value).write(to: &json)
      }
      json.key("destinations")
      Archive.redacted(destinations ?? .null).write(to: &json)
    }
    if arguments.operands.isEmpty {
      Files.print(json.bytes + [10])
    } else {
      try Files.writePrivate(try arguments.operand(0, "FILE"), json.bytes + [10])
      Files.print("written to \(try arguments.operand(0, "FILE")); look through it before you send it", to: 2)
    }
    return Exit.ok
  }
}

enum Archive {
  static func databases(_ config: AgentConfig) -> [(path: String, name: String)] {
    [(config.journalPath, "journal.db"), (config.statePath, "state.db")]
  }

  /// A whole copy of a database that others may be writing.
  static func copy(database from: String, to: String) throws {
    let source = try Database(path: from)
    try source.run(unsafe: "VACUUM INTO '\(to.replacing("'", with: "''"))'")
    chmod(to, 0o600)
  }

  /// - Parameter folder: whose owner the copy gets.
  static func copy(file from: String, to: String, like folder: String) throws {
    let (input, output) = (open(from, O_RDONLY | O_CLOEXEC), open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
    defer { for one in [input, output] where one >= 0 { close(one) } }
    guard input >= 0, output >= 0 else { throw UsageError(description: "cannot copy \(from) to \(to)") }
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let size = read(input, &chunk, chunk.count)
      if size == 0 { break }
      guard size > 0, write(output, chunk, size) == size else {
        throw UsageError(description: "cannot copy \(from) to \(to): is the disk full?")
      }
    }
    guard fsync(output) == 0 else { throw UsageError(description: "\(to) could not be written to the disk") }
    var owner = stat()
    if stat(folder, &owner) == 0 { _ = fchown(output, owner.st_uid, owner.st_gid) }
  }

  /// Texts in which telephone numbers or addresses of others could stand are cut down to what they are.
  static func redacted(_ value: JSONValue) -> JSONValue {
    switch value {
    case .object(let members):
      .object(members.map { name, value in (name, hidden.contains(name) ? .string("[redacted]") : redacted(value)) })
    case .array(let items): .array(items.map(redacted))
    case .string(let text): .string(masked(text))
    default: value
    }
  }

  private static let hidden: Set<String> = ["url", "dids", "target", "actor", "username", "secret", "key", "token"]

  /// Runs of six digits and more are numbers of people; times have none.
  private static func masked(_ text: String) -> String {
    var (out, run): ([UInt8], [UInt8]) = ([], [])
    for byte in Array(text.utf8) + [0] {
      if (48...57).contains(byte) {
        run.append(byte)
        continue
      }
      out += run.count >= 6 ? Array("######".utf8) : run
      run = []
      if byte != 0 { out.append(byte) }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
