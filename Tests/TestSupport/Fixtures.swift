// Where the recorded traffic is, and what the telephones saw of it.

package import AsteriskSource
package import Foundation
package import JSON

package enum Fixtures {
  package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  package static func bytes(_ path: String) -> [UInt8] {
    (try? Data(contentsOf: root.appendingPathComponent(path))).map(Array.init) ?? []
  }

  /// Names of every recorded AMI connection, `NAME` or `NAME.SUFFIX`, sorted.
  package static let connections: [String] = {
    let files =
      (try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("asterisk/ami").path)) ?? []
    return files.filter { $0.hasSuffix(".txt") && !$0.hasSuffix(".client.txt") }.map { String($0.dropLast(4)) }.sorted()
  }()

  package static func recording(_ name: String, edit: (String) -> String = { $0 }) -> AMIRecording {
    let raw = bytes("asterisk/ami/\(name).txt")
    let times = String(decoding: bytes("asterisk/ami/\(name).times.jsonl"), as: UTF8.self)
    return AMIRecording(bytes: raw, times: times.isEmpty ? nil : times).edited(edit)
  }

  /// The truth file of a connection.
  package static func truth(_ name: String) -> JSONValue {
    let story = name.prefix { $0 != "." }
    return (try? JSONValue(parsing: bytes("asterisk/truth/\(story).json"))) ?? .null
  }
}

extension AMIRecording {
  /// The same session with every message's text changed.
  package func edited(_ edit: (String) -> String) -> AMIRecording {
    var out: [UInt8] = []
    var marks: [Mark] = []
    for mark in self.marks {
      let text = edit(String(decoding: bytes[mark.range], as: UTF8.self))
      let start = out.count
      out.append(contentsOf: text.utf8)
      marks.append(Mark(at: mark.at, range: start..<out.count))
    }
    return AMIRecording(bytes: out, marks: marks, closedAt: closedAt)
  }
}
