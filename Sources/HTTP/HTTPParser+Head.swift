// The request line and the header lines (RFC 9112 §2.2, §3, §5).

internal import Basics

extension HTTPParser {
  /// Nil: more bytes wanted. `.some(nil)`: the head is read and the body follows. An event: hand it over.
  mutating func readHead() throws(HTTPFault) -> Event?? {
    guard let (lines, end) = try wholeHead() else { return nil }
    request = HTTPRequest(method: "", path: "")
    try readRequestLine(lines[0])
    for line in lines.dropFirst() { try readHeader(line) }
    start = end
    scanned = end
    return try frameBody()
  }

  /// The lines of the head once the empty line is here; nothing is consumed before.
  mutating func wholeHead() throws(HTTPFault) -> (lines: [Range<Int>], end: Int)? {
    let begin = start
    var lines: [Range<Int>] = []
    var at = begin
    while true {
      (start, scanned) = (at, at)
      let isFirst = lines.isEmpty
      let tooLong =
        isFirst
        ? HTTPFault(status: 414, reason: "the request line is too long")
        : HTTPFault(status: 431, reason: "the header is too large")
      let limit = isFirst ? limits.requestLineBytes : limits.headerBytes
      guard let line = try line(limit: limit, tooLong: tooLong) else {
        let size = buffer.count - begin
        if size > limits.requestLineBytes + limits.headerBytes { throw tooLong }
        (start, scanned) = (begin, begin)
        return nil
      }
      at = start
      if line.isEmpty {
        guard isFirst else { break }
        if at - begin > 4 { throw HTTPFault(status: 400, reason: "empty lines before the request") }
        continue
      }
      lines.append(line)
      if lines.count > limits.headerCount + 1 { throw HTTPFault(status: 431, reason: "too many header lines") }
      if line.upperBound - lines[0].upperBound > limits.headerBytes { throw tooLong }
    }
    return (lines, at)
  }

  func text(_ range: Range<Int>) -> String { String(decoding: buffer[range], as: UTF8.self) }

  mutating func readRequestLine(_ line: Range<Int>) throws(HTTPFault) {
    let bad = HTTPFault(status: 400, reason: "the request line is malformed")
    guard let first = buffer[line].firstIndex(of: 32), let last = buffer[line].lastIndex(of: 32), first < last,
      first > line.lowerBound, buffer[line.lowerBound..<first].allSatisfy(HTTPGrammar.isToken)
    else { throw bad }
    try readVersion(last + 1..<line.upperBound)
    request.method = text(line.lowerBound..<first)
    let target = first + 1..<last
    guard !target.isEmpty, buffer[target].allSatisfy(HTTPGrammar.isTargetByte) else { throw bad }
    if buffer[target.lowerBound] == 47 { return readOrigin(target) }
    try readTarget(text(target))
  }

  mutating func readOrigin(_ target: Range<Int>) {
    guard let mark = buffer[target].firstIndex(of: 63) else {
      request.path = text(target)
      return
    }
    request.path = text(target.lowerBound..<mark)
    request.query = text(mark + 1..<target.upperBound)
  }

  mutating func readVersion(_ range: Range<Int>) throws(HTTPFault) {
    let version = buffer[range]
    guard version.count == 8, version.starts(with: "HTTP/".utf8), version[range.lowerBound + 6] == 46,
      (48...57).contains(version[range.lowerBound + 5]), (48...57).contains(version[range.lowerBound + 7])
    else { throw HTTPFault(status: 400, reason: "the protocol version is malformed") }
    guard version[range.lowerBound + 5] == 49 else {
      throw HTTPFault(status: 505, reason: "only HTTP/1 is spoken here")
    }
    request.isHTTP10 = version[range.lowerBound + 7] == 48
  }

  /// Origin form, absolute form (its authority replaces Host, RFC 9112 §3.2.2) and `*`.
  mutating func readTarget(_ target: String) throws(HTTPFault) {
    if target == "*" {
      guard request.method == "OPTIONS" else { throw HTTPFault(status: 400, reason: "* is for OPTIONS alone") }
      request.path = "*"
      return
    }
    guard request.method != "CONNECT" else { throw HTTPFault(status: 501, reason: "this is not a tunnel") }
    var origin = target[...]
    if !target.hasPrefix("/") {
      guard let scheme = target.firstRange(of: "://"),
        ["http", "https"].contains(String(target[..<scheme.lowerBound]).asciiLowercased)
      else { throw HTTPFault(status: 400, reason: "the request target is malformed") }
      let rest = target[scheme.upperBound...]
      let slash = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
      guard HTTPGrammar.isHost(String(rest[..<slash])), slash > rest.startIndex else {
        throw HTTPFault(status: 400, reason: "the request target has no valid host")
      }
      origin = rest[slash...]
      if !origin.hasPrefix("/") { origin = "/" + origin }
    }
    let parts = origin.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    request.path = String(parts[0])
    request.query = parts.count == 2 ? String(parts[1]) : nil
  }

  mutating func readHeader(_ line: Range<Int>) throws(HTTPFault) {
    guard let colon = buffer[line].firstIndex(of: 58), colon > line.lowerBound,
      buffer[line.lowerBound..<colon].allSatisfy(HTTPGrammar.isToken)
    else { throw HTTPFault(status: 400, reason: "a header line is malformed") }
    var value = colon + 1..<line.upperBound
    while let first = buffer[value].first, first == 32 || first == 9 { value.removeFirstIndex() }
    while let last = buffer[value].last, last == 32 || last == 9 { value = value.lowerBound..<value.upperBound - 1 }
    guard buffer[value].allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else {
      throw HTTPFault(status: 400, reason: "a control character in a header")
    }
    request.headers.append((text(line.lowerBound..<colon), text(value)))
  }
}

extension Range<Int> {
  fileprivate mutating func removeFirstIndex() { self = lowerBound + 1..<upperBound }
}
