// Decodes a document strictly: every key is asked for by the room that owns it, and what nobody asked for is a fault.

package import Basics

/// Hands out typed values and gathers every fault, so that start-up can say them all at once.
package struct ConfigReader {
  private let document: INIDocument
  private var asked: Set<String> = []
  package private(set) var faults: [ConfigFault] = []
  /// What each key is and where it came from, for `sidetone config`; secrets are not in it.
  package private(set) var settings: [(name: String, value: String, origin: String)] = []

  package init(_ document: INIDocument) { self.document = document }

  /// The names of `[kind.NAME]` sections.
  package func instances(of kind: String) -> [String] {
    document.sections.keys.filter { $0.hasPrefix(kind + ".") }.map { String($0.dropFirst(kind.count + 1)) }.sorted()
  }

  package func has(_ section: String) -> Bool { document.sections[section] != nil }

  package mutating func text(_ section: String, _ key: String, default fallback: String) -> String {
    note(section, key, raw(section, key)?.text ?? fallback)
  }

  package mutating func optionalText(_ section: String, _ key: String) -> String? {
    guard let value = raw(section, key), !value.text.isEmpty else { return nil }
    return note(section, key, value.text)
  }

  package mutating func flag(_ section: String, _ key: String, default fallback: Bool) -> Bool {
    switch raw(section, key)?.text.asciiLowercased {
    case nil: break
    case "yes", "true", "on", "1": return note(section, key, "yes") == "yes"
    case "no", "false", "off", "0": return note(section, key, "no") != "no"
    default: fault(section, key, "expected yes or no")
    }
    return note(section, key, fallback ? "yes" : "no") == "yes"
  }

  package mutating func number(_ section: String, _ key: String, default fallback: Int, in range: ClosedRange<Int>)
    -> Int
  {
    guard let value = raw(section, key) else {
      note(section, key, String(fallback))
      return fallback
    }
    guard let number = Int(value.text), range.contains(number) else {
      fault(section, key, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      return fallback
    }
    note(section, key, value.text)
    return number
  }

  package mutating func list(_ section: String, _ key: String, default fallback: [String] = []) -> [String] {
    guard let value = raw(section, key) else {
      note(section, key, fallback.joined(separator: ", "))
      return fallback
    }
    note(section, key, value.text)
    return value.text.split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
  }

  /// A secret: from the file that `<key>_file` names, or, for the environment alone, from `<key>` itself.
  package mutating func secret(_ section: String, _ key: String) -> Secret<String>? {
    if let direct = raw(section, key) {
      if direct.line != nil {
        fault(section, key, "a secret does not stand in the configuration file; name a file with \(key)_file")
        return nil
      }
      return direct.text.isEmpty ? nil : Secret(direct.text)
    }
    let named = text(section, key + "_file", default: "")
    guard !named.isEmpty else { return nil }
    let path = Self.place(of: named)
    do {
      return Secret(String(decoding: try Files.read(path, limit: 4096), as: UTF8.self).trimmed)
    } catch {
      fault(section, key + "_file", "cannot be read: \(error)")
      return nil
    }
  }

  /// `credential:NAME` is one that systemd hands over (systemd.exec(5), LoadCredential), and for whoever is not the
  /// service the file it comes from.
  private static func place(of named: String) -> String {
    guard named.hasPrefix("credential:") else { return named }
    let name = String(named.dropFirst("credential:".count))
    guard let folder = Environment["CREDENTIALS_DIRECTORY"] else { return "/etc/sidetone/secrets/" + name }
    return folder + "/secrets_" + name
  }

  package mutating func fault(_ section: String, _ key: String, _ reason: String) {
    let value = document.sections[section]?[key]
    let place = value.map { $0.line == nil ? $0.origin : "[\(section)] \(key)" } ?? "[\(section)] \(key)"
    faults.append(ConfigFault(place: place, line: value?.line, reason: reason))
  }

  /// Every key that no room asked for.
  package mutating func finish() throws(ConfigFaults) {
    for (section, keys) in document.sections.sorted(by: { $0.key < $1.key }) {
      for key in keys.keys.sorted() where !asked.contains("\(section) \(key)") { fault(section, key, "no such key") }
    }
    if !faults.isEmpty { throw ConfigFaults(faults) }
  }

  private mutating func raw(_ section: String, _ key: String) -> INIDocument.Value? {
    asked.insert("\(section) \(key)")
    return document.sections[section]?[key]
  }

  /// An address without whoever signs in there: a proxy's is `http://name:word@host`.
  private static func shown(_ value: String) -> String {
    guard let scheme = value.firstRange(of: "://") else { return value }
    let authority = value[scheme.upperBound...].prefix { $0 != "/" }
    guard let mark = authority.lastIndex(of: "@") else { return value }
    return value[..<scheme.upperBound] + "…" + value[mark...]
  }

  @discardableResult
  private mutating func note(_ section: String, _ key: String, _ value: String) -> String {
    settings.append(("[\(section)] \(key)", Self.shown(value), document.sections[section]?[key]?.origin ?? "default"))
    return value
  }
}
