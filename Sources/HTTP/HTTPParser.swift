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

  enum Phase {
    case head
    case body(length: Int)
    case chunkSize
    case chunkData(left: Int)
    case chunkEnd
    case trailers
  }

  let limits: HTTPLimits
  var buffer: [UInt8] = []
  var start = 0
  var scanned = 0
  var phase = Phase.head
  var request = HTTPRequest(method: "", path: "")
  var trailerBytes = 0

  package init(limits: HTTPLimits = HTTPLimits()) { self.limits = limits }

  /// Bytes that are held and not yet part of a finished request.
  package var pendingBytes: Int { buffer.count - start }

  /// A request has begun and is not finished.
  package var isMidRequest: Bool {
    if case .head = phase { pendingBytes > 0 } else { true }
  }

  /// The request that is being read is a HEAD: whatever it is answered with has no body.
  package var isHead: Bool { request.method == "HEAD" }

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
    defer { request = HTTPRequest(method: "", path: "") }
    return .request(request)
  }

  // MARK: Lines

  /// The line that begins at `start`, without its CRLF, consumed; nil until it is whole.
  mutating func line(limit: Int, tooLong: HTTPFault) throws(HTTPFault) -> Range<Int>? {
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
}
