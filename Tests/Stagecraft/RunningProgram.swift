// The real binary, as an administrator would start it.

internal import Basics
package import Foundation
internal import Glibc
internal import TestSupport

package final class RunningProgram: @unchecked Sendable {
  private let process = Process()
  private let output = Pipe.make()
  private let lock = NSLock()
  private var text = ""
  package let ready: String

  /// Next to the tests themselves, so that the configuration is the same.
  package static let binary: URL = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/",
      !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("sidetone").path)
    { folder.deleteLastPathComponent() }
    let found = folder.appendingPathComponent("sidetone")
    if FileManager.default.isExecutableFile(atPath: found.path) { return found }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug/sidetone")
  }()

  /// Starts it and waits for its line `ready …`.
  /// - Parameter log: a file for what it says of itself; nowhere unless told.
  package init(_ arguments: [String], environment: [String: String] = [:], log: String = "/dev/null") throws {
    process.executableURL = Self.binary
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.begin()
    var found = ""
    while !found.contains("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      found += String(decoding: more, as: UTF8.self)
    }
    guard let line = found.split(separator: "\n").first(where: { $0.hasPrefix("ready ") }) else {
      throw NotReady(arguments: arguments, said: found)
    }
    ready = String(line.dropFirst(6))
  }

  package struct NotReady: Error {
    let arguments: [String]
    let said: String
  }

  package var pid: Int32 { process.processIdentifier }
  package var port: Int { ready.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

  package func kill(_ signal: Int32) {
    Glibc.kill(pid, signal)
    if signal == SIGKILL || signal == SIGTERM || signal == SIGINT { process.waitUntilExit() }
  }

  package var exitCode: Int32 { process.terminationStatus }

  deinit { if process.isRunning { Glibc.kill(pid, SIGKILL) } }

  /// Runs a command to its end and gives what it printed.
  package static func run(_ arguments: [String]) throws -> (code: Int32, text: String) {
    let process = Process()
    let output = Pipe.make()
    process.executableURL = binary
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    try process.begin()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }
}

/// An agent with a folder of its own, linked to a simulated PBX.
package final class Stage {
  package let folder: String
  package let configPath: String
  package var pbx: RunningProgram?
  package var agent: RunningProgram?
  private var port = 0

  package init(rate: Double, pace: Double = 0.2, more: String = "") throws {
    folder = TemporaryDirectory.make()
    try "simulated".write(toFile: folder + "/secret", atomically: true, encoding: .utf8)
    configPath = folder + "/sidetone.conf"
    let pbx = try RunningProgram([
      "simulate", "asterisk", "--listen", "127.0.0.1:0", "--rate", "\(rate)", "--pace", "\(pace)",
    ])
    self.pbx = pbx
    try """
    [agent]
    data_dir = \(folder)
    [http]
    listen = 127.0.0.1:0
    [limits]
    relay_per_minute = 1000000
    [asterisk]
    port = \(pbx.port)
    username = sidetone
    secret_file = \(folder)/secret
    \(more)
    """.write(toFile: configPath, atomically: true, encoding: .utf8)
  }

  @discardableResult
  package func startAgent(environment: [String: String] = [:], log: String = "/dev/null") throws -> RunningProgram {
    let started = try RunningProgram(["serve", "--config", configPath], environment: environment, log: log)
    agent = started
    return started
  }

  package func makeKey(_ scopes: String = "calls:read,history:read,events:read,calls:control") throws -> String {
    let made = try RunningProgram.run(["keys", "create", "--name", "test", "--scopes", scopes, "--config", configPath])
    return made.text.split(separator: "\n").first.map(String.init) ?? ""
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}

/// A plain HTTP request, blocking: what a script would do.
package enum Client {
  package static func get(
    _ port: Int, _ target: String, key: String? = nil, method: String = "GET", body: String? = nil,
    headers: [(String, String)] = []
  ) -> (status: Int, body: String) {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
    if let key { head += "Authorization: Bearer \(key)\r\n" }
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
    let text = String(decoding: talk(port, Array((head + "\r\n" + (body ?? "")).utf8)), as: UTF8.self)
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    return (Int(text.dropFirst(9).prefix(3)) ?? 0, parts.count == 2 ? String(parts[1]) : "")
  }

  /// Sends the bytes and reads until the server closes; optionally says first that no more will be sent.
  package static func talk(_ port: Int, _ bytes: [UInt8], isHalfClosing: Bool = false) -> [UInt8] {
    guard let socket = PlainSocket(port) else { return [] }
    socket.send(bytes)
    if isHalfClosing { socket.finish() }
    var answer: [UInt8] = []
    while let more = socket.receive() { answer += more }
    return answer
  }

  /// Sends the bytes and hands over what comes, for as long as it is wanted.
  package static func converse(_ port: Int, _ bytes: [UInt8], _ take: ([UInt8]) -> Bool) {
    guard let socket = PlainSocket(port, patience: 60) else { return }
    socket.send(bytes)
    while let more = socket.receive(), take(more) {}
  }

  /// Reads the events of the journal from the first, and then as they happen, until one is what is waited for.
  /// - Returns: that event as it came; nil when none did within a minute.
  package static func event(
    _ port: Int, key: String, where isMeant: (_ json: String) -> Bool
  ) -> String? {
    guard let socket = PlainSocket(port, patience: 60) else { return nil }
    let end = Moment.now() + .seconds(60)
    let wants = "Accept: text/event-stream\r\nAuthorization: Bearer \(key)"
    socket.send(Array("GET /relay/events?after=0 HTTP/1.1\r\nHost: test\r\n\(wants)\r\n\r\n".utf8))
    var text = ""
    while Moment.now() < end, let more = socket.receive() {
      text += String(decoding: more, as: UTF8.self)
      while let end = text.firstIndex(of: "\n") {
        let line = text[..<end]
        text.removeSubrange(...end)
        if line.hasPrefix("data:"), isMeant(String(line.dropFirst(5))) { return String(line.dropFirst(5)) }
      }
    }
    return nil
  }
}
