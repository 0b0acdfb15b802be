// Where the request ends: Content-Length or chunks, never both (RFC 9112 §6, §7).

internal import Basics

extension HTTPParser {
  // MARK: Framing

  /// The headers that say where the request ends and what follows, found in one pass.
  private struct Framing {
    var hosts: [String] = []
    var codings: [String] = []
    var lengths: [String] = []
    var options: [String] = []
    var expectations: [String] = []
    var credentials = 0

    init(_ headers: [(name: String, value: String)]) {
      for (name, value) in headers {
        switch name.utf8.count {
        case 4 where name.isEqualWithoutCase(to: "host"): hosts.append(value)
        case 6 where name.isEqualWithoutCase(to: "expect"): expectations.append(value.asciiLowercased)
        case 10 where name.isEqualWithoutCase(to: "connection"): options.append(value.asciiLowercased)
        case 13 where name.isEqualWithoutCase(to: "authorization"): credentials += 1
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

  mutating func frameBody() throws(HTTPFault) -> Event?? {
    let framing = Framing(request.headers)
    try checkHost(framing.hosts)
    request.wantsKeepAlive = !framing.has("close") && (!request.isHTTP10 || framing.has("keep-alive"))
    guard framing.credentials <= 1 else { throw HTTPFault(status: 400, reason: "more than one Authorization header") }
    if !framing.codings.isEmpty {
      guard framing.lengths.isEmpty else {
        throw HTTPFault(status: 400, reason: "both Content-Length and Transfer-Encoding")
      }
      guard !request.isHTTP10 else { throw HTTPFault(status: 400, reason: "HTTP/1.0 knows no Transfer-Encoding") }
      try Self.check(codings: framing.codings)
      phase = .chunkSize
      trailerBytes = 0
    } else if !framing.lengths.isEmpty {
      phase = .body(length: try Self.length(framing.lengths, limit: limits.bodyBytes))
    } else {
      return .some(.request(request))
    }
    return try continueIfExpected(framing.expectations)
  }

  /// Where chunked is not the last coding, or not the only chunked one, nobody knows where the body ends (RFC 9112
  /// §6.3, §7.1); a coding before it is one that we do not undo.
  private static func check(codings: [String]) throws(HTTPFault) {
    let names = codings.joined(separator: ",").split(separator: ",", omittingEmptySubsequences: false).map {
      String($0).trimmed.asciiLowercased
    }
    guard names.last == "chunked", names.count(where: { $0 == "chunked" }) == 1, !names.contains("") else {
      throw HTTPFault(status: 400, reason: "chunked must be the last transfer coding, once")
    }
    guard names.count == 1 else { throw HTTPFault(status: 501, reason: "the only transfer coding is chunked") }
  }

  func checkHost(_ hosts: [String]) throws(HTTPFault) {
    guard hosts.count == 1 || request.isHTTP10 && hosts.isEmpty else {
      throw HTTPFault(status: 400, reason: hosts.isEmpty ? "no Host header" : "more than one Host header")
    }
    guard hosts.allSatisfy(HTTPGrammar.isHost) else {
      throw HTTPFault(status: 400, reason: "the Host header is malformed")
    }
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

  func continueIfExpected(_ expectations: [String]) throws(HTTPFault) -> Event?? {
    guard !expectations.isEmpty, !request.isHTTP10 else { return .some(nil) }
    guard expectations == ["100-continue"] else {
      throw HTTPFault(status: 417, reason: "the only expectation met here is 100-continue")
    }
    return buffer.count == start ? .some(.expectsContinue) : .some(nil)
  }

  // MARK: Chunks

  mutating func readChunkSize() throws(HTTPFault) -> Bool {
    let tooLong = HTTPFault(status: 400, reason: "the chunk size line is too long")
    guard let line = try line(limit: 256, tooLong: tooLong) else { return false }
    let digits = buffer[line].prefix { Hex.value($0) != nil }
    let rest = buffer[line].dropFirst(digits.count)
    guard (1...15).contains(digits.count), rest.allSatisfy({ $0 >= 32 && $0 < 127 || $0 == 9 }),
      HTTPGrammar.isChunkExtension(rest)
    else { throw HTTPFault(status: 400, reason: "the chunk size is malformed") }
    let size = digits.reduce(0) { $0 << 4 | Int(Hex.value($1) ?? 0) }
    guard request.body.count + size <= limits.bodyBytes else {
      throw HTTPFault(status: 413, reason: "the body is larger than \(limits.bodyBytes) bytes")
    }
    phase = size == 0 ? .trailers : .chunkData(left: size)
    return true
  }

  mutating func readChunkData(_ left: Int) -> Bool {
    let size = min(left, buffer.count - start)
    guard size > 0 else { return false }
    request.body.append(contentsOf: buffer[start..<start + size])
    start += size
    scanned = start
    phase = size == left ? .chunkEnd : .chunkData(left: left - size)
    return true
  }

  mutating func readChunkEnd() throws(HTTPFault) -> Bool {
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
  mutating func readTrailer() throws(HTTPFault) -> Bool? {
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
}
