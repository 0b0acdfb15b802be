// Actions as bytes. A header's value cannot end its line: what could is refused before it is sent.

package struct AMIAction: Sendable {
  package let name: String
  package private(set) var headers: [(String, String)]

  package init(_ name: String, _ headers: [(String, String)] = []) { (self.name, self.headers) = (name, headers) }

  /// Nil when a value holds a line end, or a line would pass Asterisk's 1024 bytes (manager.c, `inbuf`).
  package func encoded(id: String) -> [UInt8]? {
    var text = ""
    for (key, value) in [("Action", name), ("ActionID", id)] + headers {
      let line = "\(key): \(value)\r\n"
      guard line.utf8.count <= 1022, !value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) else {
        return nil
      }
      text += line
    }
    return Array((text + "\r\n").utf8)
  }
}

/// The answer to an action.
package struct AMIResponse: Sendable {
  package let isSuccess: Bool
  package let message: String
  package let headers: [(key: String, value: String)]
  /// Of an action that answers with a list: its items, each with its headers.
  package internal(set) var items: [[(key: String, value: String)]] = []

  package init(isSuccess: Bool, message: String, headers: [(key: String, value: String)]) {
    (self.isSuccess, self.message, self.headers) = (isSuccess, message, headers)
  }

  package subscript(key: String) -> String? { headers.first { $0.key == key }?.value }

  /// What the items say under this name.
  package func values(_ key: String) -> [String] { items.compactMap { $0.first { $0.key == key }?.value } }
}
