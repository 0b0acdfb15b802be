// Options and operands of one command; what is not declared is refused.

internal import Basics

struct UsageError: Error, CustomStringConvertible {
  let description: String
}

struct Arguments: Sendable {
  struct Option: Sendable {
    let name: String
    let takesValue: Bool

    static func flag(_ name: String) -> Option { Option(name: name, takesValue: false) }
    static func value(_ name: String) -> Option { Option(name: name, takesValue: true) }
  }

  private var values: [String: String] = [:]
  private(set) var operands: [String] = []

  init(_ words: some Sequence<String>, options: [Option]) throws(UsageError) {
    var words = Array(words)[...]
    while let word = words.popFirst() {
      guard word.hasPrefix("--"), word != "--" else {
        operands.append(word)
        continue
      }
      let pair = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
        String.init)
      if pair[0] == "help" {
        values["help"] = ""
        continue
      }
      guard let option = options.first(where: { $0.name == pair[0] }) else {
        throw UsageError(description: "there is no option --\(pair[0])")
      }
      guard option.takesValue else {
        values[option.name] = ""
        continue
      }
      guard let value = pair.count == 2 ? pair[1] : words.popFirst() else {
        throw UsageError(description: "--\(option.name) needs a value")
      }
      values[option.name] = value
    }
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  subscript(name: String) -> String? { values[name] }

  func number(_ name: String, default fallback: Int) throws(UsageError) -> Int {
    guard let text = values[name] else { return fallback }
    guard let number = Int(text), number >= 0 else { throw UsageError(description: "--\(name) needs a whole number") }
    return number
  }

  func decimal(_ name: String, default fallback: Double) throws(UsageError) -> Double {
    guard let text = values[name] else { return fallback }
    guard let number = Double(text), number >= 0 else { throw UsageError(description: "--\(name) needs a number") }
    return number
  }

  func operand(_ index: Int, _ what: String) throws(UsageError) -> String {
    guard operands.indices.contains(index) else { throw UsageError(description: "\(what) is missing") }
    return operands[index]
  }
}
