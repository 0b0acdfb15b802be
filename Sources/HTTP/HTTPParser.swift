// HTTP/1.1 requests out of bytes (RFC 9112), as strict as a server behind a proxy must be: whatever two parsers could
// read differently is refused, and every limit holds before memory is taken.

internal import Basics

package struct HTTPLimits: Sendable {
  package var requestLineBytes = 8192
  package var headerBytes = 16_384
  package var headerCount = 100
  package var bodyBytes = 1 << 20

  package init() {}
}

/// Why a request is refused; the connection is closed after the answer.
package struct HTTPFault: Error, Equatable {
  package let status: Int
  package let reason: String
}

package struct HTTPParser {
  package enum Event {
    /// The head asks for `100 Continue` before the body is sent.
    case expectsContinue
    case request(HTTPRequest)
  }

  private enum Phase {
    case head
    case body(length: Int)
    case chunkSize
    case chunkData(left: Int)
    case chunkEnd
    case trailers
  }

  private let limits: HTTPLimits
  private var buffer: [UInt8] = []
  private var start = 0
  private var scanned = 0
  private var phase = Phase.head
  private var request = HTTPRequest(method: "", path: "")
  private var trailerBytes = 0

  package init(limits: HTTPLimits = HTTPLimits()) { self.limits = limits }

  /// Bytes that are held and not yet part of a finished request.
  package var pendingBytes: Int { buffer.count - start }

  /// A request has begun and is not finished.
  package var isMidRequest: Bool {
    if case .head = phase { pendingBytes > 0 } else { true }
  }

  package var isMidBody: Bool { if case .head = phase { false } else { true } }

  package mutating func feed(_ bytes: some Collection<UInt8>) {
    if start > 0, start == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 65_536)
      (scanned, start) = (0, 0)
    } else if start > 65_536 {
      buffer.removeFirst(start)
      (scanned, start) = (scanned - start, 0)
    }
    buffer.append(contentsOf: bytes)
  }

  /// What is left over after an upgrade: it belongs to the next protocol.
  package mutating func takeRest() -> [UInt8] {
    defer { (buffer, start, scanned) = ([], 0, 0) }
    return Array(buffer[start...])
  }

  /// The next thing the bytes say, or nil until more come.
  package mutating func next() throws(HTTPFault) -> Event? {
    while true {
      switch phase {
      case .head:
        guard let event = try readHead() else { return nil }
        if case .some(let event) = event { return event }
      case .body(let length):
        guard buffer.count - start >= length else { return nil }
        request.body.append(contentsOf: buffer[start..<start + length])
        start += length
        return finish()
      case .chunkSize: guard try readChunkSize() else { return nil }
      case .chunkData(let left): guard readChunkData(left) else { return nil }
      case .chunkEnd: guard try readChunkEnd() else { return nil }
      case .trailers:
        guard let done = try readTrailer() else { return nil }
        if done { return finish() }
      }
    }
  }

  private mutating func finish() -> Event {
    phase = .head
    scanned = start
    return .request(request)
  }

  // MARK: Lines

  /// The line that begins at `start`, without its CRLF, consumed; nil until it is whole.
  private mutating func line(limit: Int, tooLong: HTTPFault) throws(HTTPFault) -> Range<Int>? {
    var at = max(scanned, start)
    while at < buffer.count {
      let byte = buffer[at]
      if byte == 10 { throw HTTPFault(status: 400, reason: "a line ends without CR") }
      if byte == 0 { throw HTTPFault(status: 400, reason: "a NUL byte in the head") }
      if byte == 13 {
        guard at + 1 < buffer.count else { break }
        guard buffer[at + 1] == 10 else { throw HTTPFault(status: 400, reason: "a CR without LF") }
        let line = start..<at
        guard line.count <= limit else { throw tooLong }
        start = at + 2
        scanned = start
        return line
      }
      at += 1
    }
    scanned = at
    guard at - start <= limit else { throw tooLong }
    return nil
  }

  // MARK: Head

  /// Nil: more bytes wanted. `.some(nil)`: the head is read and the body follows. An event: hand it over.
  private mutating func readHead() throws(HTTPFault) -> Event?? {
    guard let (lines, end) = try wholeHead() else { return nil }
    request = HTTPRequest(method: "", path: "")
    try readRequestLine(lines[0])
    for line in lines.dropFirst() { try readHeader(line) }
    start = end
    scanned = end
    return try frameBody()
  }

  /// The lines of the head once the empty line is here; nothing is consumed before.
  private mutating func wholeHead() throws(HTTPFault) -> (lines: [Range<Int>], end: Int)? {
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

  private func text(_ range: Range<Int>) -> String { String(decoding: buffer[range], as: UTF8.self) }

  private mutating func readRequestLine(_ line: Range<Int>) throws(HTTPFault) {
    let bad = HTTPFault(status: 400, reason: "the request line is malformed")
    guard let first = buffer[line].firstIndex(of: 32), let last = buffer[line].lastIndex(of: 32), first < last,
      first > line.lowerBound, buffer[line.lowerBound..<first].allSatisfy(Self.isToken)
    else { throw bad }
    try readVersion(last + 1..<line.upperBound)
    request.method = text(line.lowerBound..<first)
    let target = first + 1..<last
    guard !target.isEmpty, buffer[target].allSatisfy({ $0 > 32 && $0 < 127 && $0 != 35 }) else { throw bad }
    if buffer[target.lowerBound] == 47 { return readOrigin(target) }
    try readTarget(text(target))
  }

  private mutating func readOrigin(_ target: Range<Int>) {
    guard let mark = buffer[target].firstIndex(of: 63) else {
      request.path = text(target)
      return
    }
    request.path = text(target.lowerBound..<mark)
    request.query = text(mark + 1..<target.upperBound)
  }

  private mutating func readVersion(_ range: Range<Int>) throws(HTTPFault) {
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
  private mutating func readTarget(_ target: String) throws(HTTPFault) {
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
      guard Self.isHost(String(rest[..<slash])), slash > rest.startIndex else {
        throw HTTPFault(status: 400, reason: "the request target has no valid host")
      }
      origin = rest[slash...]
      if !origin.hasPrefix("/") { origin = "/" + origin }
    }
    let parts = origin.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    request.path = String(parts[0])
    request.query = parts.count == 2 ? String(parts[1]) : nil
  }

  private mutating func readHeader(_ line: Range<Int>) throws(HTTPFault) {
    guard let colon = buffer[line].firstIndex(of: 58), colon > line.lowerBound,
      buffer[line.lowerBound..<colon].allSatisfy(Self.isToken)
    else { throw HTTPFault(status: 400, reason: "a header line is malformed") }
    var value = colon + 1..<line.upperBound
    while let first = buffer[value].first, first == 32 || first == 9 { value.removeFirstIndex() }
    while let last = buffer[value].last, last == 32 || last == 9 { value = value.lowerBound..<value.upperBound - 1 }
    guard buffer[value].allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else {
      throw HTTPFault(status: 400, reason: "a control character in a header")
    }
    request.headers.append((text(line.lowerBound..<colon), text(value)))
  }

  // MARK: Framing

  /// The headers that say where the request ends and what follows, found in one pass.
  private struct Framing {
    var hosts: [String] = []
    var codings: [String] = []
    var lengths: [String] = []
    var options: [String] = []
    var expectations: [String] = []

    init(_ headers: [(name: String, value: String)]) {
      for (name, value) in headers {
        switch name.utf8.count {
        case 4 where name.isEqualWithoutCase(to: "host"): hosts.append(value)
        case 6 where name.isEqualWithoutCase(to: "expect"): expectations.append(value.asciiLowercased)
        case 10 where name.isEqualWithoutCase(to: "connection"): options.append(value.asciiLowercased)
        case 14 where name.isEqualWithoutCase(to: "content-length"): lengths.append(value)
        case 17 where name.isEqualWithoutCase(to: "transfer-encoding"): codings.append(value)
        default: break
        }
      }
    }

    func has(_ option: String) -> Bool {
      options.contains { $0 == option || $0.split(separator: ",").contains { String($0).trimmed == option } }
    }
  }

  private mutating func frameBody() throws(HTTPFault) -> Event?? {
    let framing = Framing(request.headers)
    try checkHost(framing.hosts)
    request.wantsKeepAlive = request.isHTTP10 ? framing.has("keep-alive") : !framing.has("close")
    if !framing.codings.isEmpty {
      guard framing.lengths.isEmpty else {
        throw HTTPFault(status: 400, reason: "both Content-Length and Transfer-Encoding")
      }
      guard !request.isHTTP10, framing.codings.count == 1 else {
        throw HTTPFault(status: 400, reason: "Transfer-Encoding is not allowed like this")
      }
      guard framing.codings[0].asciiLowercased == "chunked" else {
        throw HTTPFault(status: 501, reason: "the only transfer coding is chunked")
      }
      phase = .chunkSize
      trailerBytes = 0
    } else if !framing.lengths.isEmpty {
      phase = .body(length: try Self.length(framing.lengths, limit: limits.bodyBytes))
    } else {
      return .some(.request(request))
    }
    return try continueIfExpected(framing.expectations)
  }

  private func checkHost(_ hosts: [String]) throws(HTTPFault) {
    guard hosts.count == 1 || request.isHTTP10 && hosts.isEmpty else {
      throw HTTPFault(status: 400, reason: hosts.isEmpty ? "no Host header" : "more than one Host header")
    }
    guard hosts.allSatisfy(Self.isHost) else { throw HTTPFault(status: 400, reason: "the Host header is malformed") }
  }

  private static func length(_ lengths: [String], limit: Int) throws(HTTPFault) -> Int {
    guard lengths.count == 1, !lengths[0].isEmpty, lengths[0].utf8.allSatisfy({ (48...57).contains($0) }) else {
      throw HTTPFault(status: 400, reason: "Content-Length is malformed")
    }
    guard let length = Int(lengths[0]), length <= limit else {
      throw HTTPFault(status: 413, reason: "the body is larger than \(limit) bytes")
    }
    return length
  }

  private func continueIfExpected(_ expectations: [String]) throws(HTTPFault) -> Event?? {
    guard !expectations.isEmpty, !request.isHTTP10 else { return .some(nil) }
    guard expectations == ["100-continue"] else {
      throw HTTPFault(status: 417, reason: "the only expectation met here is 100-continue")
    }
    return buffer.count == start ? .some(.expectsContinue) : .some(nil)
  }

  // MARK: Chunks

  private mutating func readChunkSize() throws(HTTPFault) -> Bool {
    let tooLong = HTTPFault(status: 400, reason: "the chunk size line is too long")
    guard let line = try line(limit: 256, tooLong: tooLong) else { return false }
    let digits = buffer[line].prefix { Hex.value($0) != nil }
    let rest = buffer[line].dropFirst(digits.count).drop { $0 == 32 || $0 == 9 }
    guard (1...15).contains(digits.count), rest.isEmpty || rest.first == 59,
      rest.isEmpty || rest.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }),
      rest.isEmpty == (digits.count == line.count) || rest.first == 59
    else { throw HTTPFault(status: 400, reason: "the chunk size is malformed") }
    let size = digits.reduce(0) { $0 << 4 | Int(Hex.value($1) ?? 0) }
    guard request.body.count + size <= limits.bodyBytes else {
      throw HTTPFault(status: 413, reason: "the body is larger than \(limits.bodyBytes) bytes")
    }
    phase = size == 0 ? .trailers : .chunkData(left: size)
    return true
  }

  private mutating func readChunkData(_ left: Int) -> Bool {
    let size = min(left, buffer.count - start)
    guard size > 0 else { return false }
    request.body.append(contentsOf: buffer[start..<start + size])
    start += size
    scanned = start
    phase = size == left ? .chunkEnd : .chunkData(left: left - size)
    return true
  }

  private mutating func readChunkEnd() throws(HTTPFault) -> Bool {
    guard buffer.count - start >= 2 else {
      if buffer.count > start, buffer[start] != 13 {
        throw HTTPFault(status: 400, reason: "a chunk does not end with CRLF")
      }
      return false
    }
    guard buffer[start] == 13, buffer[start + 1] == 10 else {
      throw HTTPFault(status: 400, reason: "a chunk does not end with CRLF")
    }
    start += 2
    scanned = start
    phase = .chunkSize
    return true
  }

  /// Trailers are read, checked and dropped: nothing here takes a field from after the body.
  private mutating func readTrailer() throws(HTTPFault) -> Bool? {
    let tooLong = HTTPFault(status: 431, reason: "the trailer is too large")
    guard let line = try line(limit: limits.headerBytes, tooLong: tooLong) else { return nil }
    if line.isEmpty { return true }
    trailerBytes += line.count
    if trailerBytes > limits.headerBytes { throw tooLong }
    let headers = request.headers
    try readHeader(line)
    request.headers = headers
    return false
  }

  // MARK: Grammar

  /// RFC 9110 §5.6.2.
  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122: true
    case 33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126: true
    default: false
    }
  }

  /// `host[:port]` of RFC 3986 §3.2.2, without user information.
  private static func isHost(_ text: String) -> Bool {
    var bytes = Substring(text).utf8
    if bytes.first == 91 {
      guard let end = bytes.firstIndex(of: 93) else { return false }
      let address = bytes[..<end].dropFirst()
      guard address.allSatisfy({ Hex.value($0) != nil || $0 == 58 || $0 == 46 }) else { return false }
      bytes = bytes[bytes.index(after: end)...]
      guard bytes.isEmpty || bytes.first == 58 else { return false }
    }
    let colon = bytes.firstIndex(of: 58) ?? bytes.endIndex
    return bytes[..<colon].allSatisfy(isHostByte) && bytes[colon...].dropFirst().allSatisfy { (48...57).contains($0) }
  }

  /// A byte of a registered name: unreserved, sub-delims and escapes.
  private static func isHostByte(_ byte: UInt8) -> Bool {
    isToken(byte) && byte != 94 && byte != 96 && byte != 124 && byte != 35 || [40, 41, 44, 59, 61].contains(byte)
  }
}

extension Range<Int> {
  fileprivate mutating func removeFirstIndex() { self = lowerBound + 1..<upperBound }
}
