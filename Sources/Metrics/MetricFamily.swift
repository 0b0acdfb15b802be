// One name for many things of a kind, told apart by labels: made when somebody looks, kept by nobody.

/// Values that are known elsewhere, as Prometheus reads them.
package struct MetricFamily: Sendable {
  package let name: String
  package let help: String
  package let kind: Metric.Kind
  package private(set) var samples: [(labels: [(name: StaticString, value: String)], value: Double)] = []

  package init(_ name: String, _ help: String, _ kind: Metric.Kind = .gauge) {
    (self.name, self.help, self.kind) = (name, help, kind)
  }

  package mutating func add(_ labels: [(name: StaticString, value: String)], _ value: Double) {
    samples.append((labels, value))
  }

  /// Prometheus exposition format 0.0.4; nothing where there is no sample.
  package var exposition: String {
    if samples.isEmpty { return "" }
    var text = "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    for (labels, value) in samples {
      let shown = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
      let number = Int64(exactly: value).map { String($0) } ?? String(value)
      text += "\(name){\(shown)} \(number)\n"
    }
    return text
  }

  private static func escaped(_ text: String) -> String {
    // By scalars: a carriage return and its line feed are one character, and would pass for none of these.
    text.unicodeScalars.reduce(into: "") { shown, scalar in
      switch scalar {
      case "\\": shown += "\\\\"
      case "\"": shown += "\\\""
      case "\n": shown += "\\n"
      default: shown.unicodeScalars.append(scalar)
      }
    }
  }
}
