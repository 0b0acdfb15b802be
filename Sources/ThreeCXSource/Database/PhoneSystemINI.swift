// 3CXPhoneSystem.ini as 3CX writes it: read tolerantly, since it is not ours, and never written. Keys and sections are
// compared without case, the first `=` divides, nothing in a value is interpreted.

internal import Basics

package struct PhoneSystemINI: Sendable {
  /// Where it is, most likely first: V20 on Linux, and an older layout.
  package static let places = [
    "/var/lib/3cxpbx/Bin/3CXPhoneSystem.ini", "/var/lib/3cxpbx/Instance1/Bin/3CXPhoneSystem.ini",
  ]

  private var values: [String: String] = [:]
  package private(set) var sections: Set<String> = []

  package init(parsing bytes: [UInt8]) {
    var section = ""
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    for raw in text.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
      let line = String(decoding: raw, as: UTF8.self).trimmed
      if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
      if line.hasPrefix("["), let end = line.lastIndex(of: "]") {
        section = String(line[line.index(after: line.startIndex)..<end]).trimmed.asciiLowercased
        sections.insert(section)
        continue
      }
      guard let equals = line.firstIndex(of: "=") else { continue }
      let key = String(line[..<equals]).trimmed.asciiLowercased
      let name = section + "\n" + key
      // Of a key that stands twice the first counts, as for 3CX's own reader.
      if values[name] == nil { values[name] = Self.unquoted(String(line[line.index(after: equals)...]).trimmed) }
    }
  }

  package subscript(section: String, key: String) -> String? {
    values[section.asciiLowercased + "\n" + key.asciiLowercased].flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func unquoted(_ text: String) -> String {
    guard text.utf8.count >= 2, let first = text.first, first == text.last, first == "\"" || first == "'" else {
      return text
    }
    return String(text.dropFirst().dropLast())
  }
}
