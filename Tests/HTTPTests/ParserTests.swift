import HTTP
import Testing

@Suite struct ParserTests {
  private func status(_ text: String) -> Int {
    var parser = HTTPParser()
    parser.feed(Array(text.utf8))
    do {
      while let event = try parser.next() { if case .request = event { return 200 } }
      return 0
    } catch { return error.status }
  }

  private static let get = "GET / HTTP/1.1\r\nHost: a\r\n"
  private static let post = "POST /x HTTP/1.1\r\nHost: a\r\n"

  struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let status: Int
    var testDescription: String { name }
    init(_ name: String, _ text: String, _ status: Int) { (self.name, self.text, self.status) = (name, text, status) }
  }

  static let rows: [Row] = [
    Row("plain", get + "\r\n", 200), Row("an empty line before", "\r\n" + get + "\r\n", 200),
    Row("many empty lines before", "\r\n\r\n\r\n" + get + "\r\n", 400),
    Row("absolute form", "GET http://b/x?q HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    Row("absolute form, no host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("foreign scheme", "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    Row("asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("tunnel", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    Row("no host", "GET / HTTP/1.1\r\n\r\n", 400), Row("no host in 1.0", "GET / HTTP/1.0\r\n\r\n", 200),
    Row("two hosts", get + "Host: b\r\n\r\n", 400),
    Row("bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    Row("host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    Row("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400), Row("bare CR", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    Row("NUL", "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400), Row("folded header", get + "X: a\r\n b\r\n\r\n", 400),
    Row("blank before colon", get + "X : a\r\n\r\n", 400), Row("no colon", get + "X\r\n\r\n", 400),
    Row("empty name", get + ": a\r\n\r\n", 400),
    Row("control in value", get + "X: a\u{1}b\r\n\r\n", 400), Row("high bytes in value", get + "X: é\r\n\r\n", 200),
    Row("version 2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505), Row("no version", "GET /\r\nHost: a\r\n\r\n", 400),
    Row("bad version", "GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400),
    Row("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    Row("two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("length", post + "Content-Length: 2\r\n\r\nab", 200),
    Row("length twice the same", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    Row("length twice", post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400),
    Row("length list", post + "Content-Length: 2, 2\r\n\r\nab", 400),
    Row("length signed", post + "Content-Length: +2\r\n\r\nab", 400),
    Row("length hex", post + "Content-Length: 0x2\r\n\r\nab", 400),
    Row("length empty", post + "Content-Length: \r\n\r\n", 400),
    Row("length too large", post + "Content-Length: 1048577\r\n\r\n", 413),
    Row("length absurd", post + "Content-Length: 99999999999999999999\r\n\r\n", 413),
    Row("both framings", post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Row("chunked", post + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200),
    Row("chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\n\r\n", 200),
    Row("trailer", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", 200),
    Row("chunk size bad", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    Row("chunk size signed", post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    Row("chunk size padded", post + "Transfer-Encoding: chunked\r\n\r\n 2\r\nab\r\n0\r\n\r\n", 400),
    Row("chunk bare LF", post + "Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", 400),
    Row("chunk without CRLF", post + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
    Row("chunk absurd", post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    Row("chunk too large", post + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413),
    Row("other coding", post + "Transfer-Encoding: gzip\r\n\r\n", 400),
    Row("xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n", 400),
    Row("codings listed", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    Row("coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    Row("chunked in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Row("other expectation", post + "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n", 417),
    Row("long target", "GET /" + String(repeating: "a", count: 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    Row("endless target", "GET /" + String(repeating: "a", count: 9000), 414),
    Row("large header", get + "X: " + String(repeating: "a", count: 20_000) + "\r\n\r\n", 431),
    Row("endless header", get + "X: " + String(repeating: "a", count: 30_000), 431),
    Row("chunked before another", post + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    Row("codings in two lines", post + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    Row("extension without name", post + "Transfer-Encoding: chunked\r\n\r\n2;=b\r\nab\r\n0\r\n\r\n", 400),
    Row("extension without value", post + "Transfer-Encoding: chunked\r\n\r\n2;a=\r\nab\r\n0\r\n\r\n", 400),
    Row("extension left open", post + "Transfer-Encoding: chunked\r\n\r\n2;a=\"b\r\nab\r\n0\r\n\r\n", 400),
    Row("extension quoted", post + "Transfer-Encoding: chunked\r\n\r\n2 ; a = \"b;\\\"\"\r\nab\r\n0\r\n\r\n", 200),
    Row("host with half an escape", "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400),
    Row("host of brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
    Row("host of six", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    Row("host of a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    Row("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    Row("quote in target", "GET /\"a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("two credentials", get + "Authorization: a\r\nAuthorization: b\r\n\r\n", 400),
    Row("many headers", get + String(repeating: "X: a\r\n", count: 200) + "\r\n", 431),
  ]

  @Test(arguments: rows) func itIsReadOrRefused(row: Row) { #expect(status(row.text) == row.status) }

  @Test func requestsMayBeCutAnywhere() throws {
    let text = Array(
      (Self.post + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n" + Self.get + "\r\n")
        .utf8)
    for cut in text.indices {
      var parser = HTTPParser()
      var found: [HTTPRequest] = []
      for piece in [text[..<cut], text[cut...]] {
        parser.feed(piece)
        while let event = try parser.next() { if case .request(let request) = event { found.append(request) } }
      }
      #expect(found.map(\.method) == ["POST", "GET"])
      #expect(found.first?.body == Array("hello!".utf8))
    }
  }

  @Test func theAuthorityOfAnAbsoluteTargetDoesNotReachThePath() throws {
    var parser = HTTPParser()
    parser.feed(Array("GET http://other.example/x/y?a=1&b=%20+ HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    guard case .request(let request)? = try parser.next() else { return #expect(Bool(false)) }
    #expect(request.path == "/x/y")
    #expect(request.parameters == ["a": "1", "b": "  "])
  }

  @Test func aBodyThatWaitsForPermissionIsAskedFor() throws {
    var parser = HTTPParser()
    parser.feed(Array((Self.post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n").utf8))
    guard case .expectsContinue? = try parser.next() else { return #expect(Bool(false)) }
    let early = try parser.next()
    #expect(early.isNothing)
    parser.feed([65])
    guard case .request(let request)? = try parser.next() else { return #expect(Bool(false)) }
    #expect(request.body == [65])
  }

  @Test func randomBytesNeverTrap() {
    var random = SystemRandomNumberGenerator()
    let words = [
      "GET ", "/", " HTTP/1.1", "\r\n", "\n", "Host: a", "Content-Length: ", "5", "Transfer-Encoding: chunked", ":",
      "\0", "é", ";", "0",
    ]
    for _ in 0..<5000 {
      var parser = HTTPParser()
      parser.feed(
        (0..<Int.random(in: 1..<20, using: &random)).flatMap { _ in Array(words.randomElement(using: &random)!.utf8) })
      while (try? parser.next()) ?? nil != nil {}
    }
  }
}

extension HTTPParser.Event? {
  fileprivate var isNothing: Bool { if case .none = self { true } else { false } }
}
