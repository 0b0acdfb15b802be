// The configuration file as it stands: sections, keys, values, and the line each came from.

internal import Basics

/// One thing wrong with the configuration, and where.
package struct ConfigFault: Error, Equatable, CustomStringConvertible {
  /// `[http] listen`, or the variable's name.
  package let place: String
  package let line: Int?
  package let reason: String

  package init(place: String, line: Int? = nil, reason: String) {
    self.place = place
    self.line = line
    self.reason = reason
  }

  package var description: String { (line.map { "line \($0): " } ?? "") + "\(place): \(reason)" }
}

/// All that is wrong, said at once.
package struct ConfigFaults: Error, CustomStringConvertible {
  package let faults: [ConfigFault]
  package init(_ faults: [ConfigFault]) { self.faults = faults }
  package var description: String { faults.map(\.description).joined(separator: "\n") }
}

package struct INIDocument: Sendable {
  package struct Value: Equatable, Sendable {
    package let text: String
    package let line: Int?
    /// Where it was set: the file, or the variable's name.
    package let origin: String
  }

  package private(set) var sections: [String: [String: Value]] = [:]

  package init() {}

  /// Reads `[section]`, `key = value`, and comments that begin a line with `#` or `;`.
  package init(parsing text: String, origin: String = "file") throws(ConfigFaults) {
    var faults: [ConfigFault] = []
    var section: String?
    for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = String(raw).trimmed
      if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
      if line.hasPrefix("["), line.hasSuffix("]") {
        section = String(line.dropFirst().dropLast()).trimmed
        if section?.isEmpty == true {
          faults.append(ConfigFault(place: line, line: index + 1, reason: "an empty section name"))
        }
        continue
      }
      let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0).trimmed }
      guard let section, pair.count == 2, !pair[0].isEmpty else {
        let reason = section == nil ? "a key before the first [section]" : "expected key = value"
        faults.append(ConfigFault(place: line, line: index + 1, reason: reason))
        continue
      }
      if sections[section]?[pair[0]] != nil {
        faults.append(ConfigFault(place: "[\(section)] \(pair[0])", line: index + 1, reason: "set twice"))
      }
      sections[section, default: [:]][pair[0]] = Value(text: pair[1], line: index + 1, origin: origin)
    }
    if !faults.isEmpty { throw ConfigFaults(faults) }
  }

  package mutating func set(_ section: String, _ key: String, _ text: String, origin: String) {
    sections[section, default: [:]][key] = Value(text: text, line: nil, origin: origin)
  }
}
