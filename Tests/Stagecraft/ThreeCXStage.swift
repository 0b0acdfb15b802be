// The real binary beside a simulated 3CX.

internal import Foundation
internal import TestSupport

/// An agent beside a simulated 3CX.
package final class ThreeCXStage {
  package let folder = TemporaryDirectory.make()
  package let pbx: RunningProgram
  package let agent: RunningProgram
  package let key: String
  private let path: String

  /// - Parameter line: a line of the configuration in the place of the one with the same key.
  package init(_ options: String..., replacing line: String = "", more: String = "") throws {
    pbx = try RunningProgram(["simulate", "3cx", "--listen", "127.0.0.1:0"] + options)
    try "simulated".write(toFile: folder + "/secret", atomically: true, encoding: .utf8)
    var lines = [
      "url = http://127.0.0.1:\(pbx.port)", "client_id = sidetone", "client_secret_file = \(folder)/secret",
      more.contains("reconcile_secs") ? "" : "reconcile_secs = 2",
    ]
    lines.removeAll { !line.isEmpty && $0.prefix { $0 != "=" } == line.prefix { $0 != "=" } }
    path = folder + "/sidetone.conf"
    try """
    [agent]
    data_dir = \(folder)
    [http]
    listen = 127.0.0.1:0
    [limits]
    relay_per_minute = 1000000
    [threecx]
    \((lines + [line, more]).joined(separator: "\n"))
    """.write(toFile: path, atomically: true, encoding: .utf8)
    agent = try RunningProgram(["serve", "--config", path])
    let scopes = "calls:read,history:read,events:read,calls:control"
    let made = try RunningProgram.run(["keys", "create", "--name", "t", "--scopes", scopes, "--config", path])
    key = made.text.split(separator: "\n").first.map(String.init) ?? ""
  }

  /// What a command of the command line prints.
  package func tell(_ words: String...) throws -> String { try RunningProgram.run(words + ["--config", path]).text }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}
