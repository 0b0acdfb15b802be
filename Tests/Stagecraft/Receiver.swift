// A receiver of webhooks on a port of this machine, that answers as it is told: well, badly, slowly or not at all.

internal import Foundation
internal import Glibc

package final class Receiver: @unchecked Sendable {
  package struct Request: Sendable {
    package let headers: [String: String]
    package let body: [UInt8]
    /// Counted from 1 over all connections.
    package let number: Int
    /// In Unix seconds.
    package let at: Double

    /// Whether an event of this type is in the body.
    package func says(_ type: String) -> Bool { body.firstRange(of: Array("\"type\":\"\(type)\"".utf8)) != nil }
  }

  package enum Answer: Sendable {
    case status(Int, headers: [String] = [])
    /// Says nothing until the sender goes.
    case nothing
    /// A byte of the answer now and then, never all of it.
    case trickle
    /// 200, and a body that goes on for as long as the sender reads it.
    case endless
    /// The connection is reset before an answer.
    case reset
    /// As it is: for what is no HTTP.
    case garbage
  }

  package private(set) var port = 0
  private let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  private let changed = NSCondition()
  private var requests: [Request] = []
  private var count = 0
  /// Endless answers of which more than 64 MB were read.
  package private(set) var unstopped = 0
  private var distinct: Set<String> = []
  private var peers: Set<Int32> = []
  private let answer: @Sendable (Request) -> Answer
  private let milliseconds: UInt32

  /// - Parameters:
  ///   - port: zero for any.
  ///   - milliseconds: how long this receiver takes over each request; nobody waits for it to be over.
  package init(
    port: Int = 0, taking milliseconds: UInt32 = 0,
    _ answer: @escaping @Sendable (Request) -> Answer = { _ in .status(200) }
  ) {
    (self.answer, self.milliseconds) = (answer, milliseconds)
    var yes: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(listener, $0, size)
        _ = listen(listener, 128)
        _ = getsockname(listener, $0, &size)
      }
    }
    self.port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [listener] in
      while case let peer = accept(listener, nil, nil), peer >= 0 {
        Thread.detachNewThread { [weak self] in
          self?.serve(peer)
          self?.changed.withLock { _ = self?.peers.remove(peer) }
          close(peer)
        }
      }
    }
  }

  /// Closes its port and every connection.
  package func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    changed.withLock { for peer in peers { shutdown(peer, Int32(SHUT_RDWR)) } }
  }

  package var all: [Request] { changed.withLock { requests } }

  /// Waits until what has come is enough.
  /// - Returns: false when it was not within two minutes.
  package func wait(_ isEnough: ([Request]) -> Bool) -> Bool {
    changed.lock()
    defer { changed.unlock() }
    let end = Date(timeIntervalSinceNow: 120)
    while !isEnough(requests) { if !changed.wait(until: end) { return false } }
    return true
  }

  /// Waits until so many different deliveries have come.
  package func wait(distinct enough: Int) -> Bool { wait { _ in distinct.count >= enough } }

  // MARK: A connection

  private func serve(_ peer: Int32) {
    changed.withLock { _ = peers.insert(peer) }
    var buffer: [UInt8] = []
    while let request = read(peer, &buffer) {
      keepWaiting(peer)
      let answer = answer(request)
      changed.withLock {
        requests.append(request)
        distinct.insert(request.headers["webhook-id"] ?? "")
        changed.broadcast()
      }
      guard reply(peer, answer) else { return }
    }
  }

  /// Takes its time over the answer, unless the sender goes before.
  private func keepWaiting(_ peer: Int32) {
    guard milliseconds > 0 else { return }
    var sender = pollfd(fd: peer, events: 0, revents: 0)
    poll(&sender, 1, Int32(milliseconds))
  }

  private func read(_ peer: Int32, _ buffer: inout [UInt8]) -> Request? {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      if let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) {
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let headers = Dictionary(
          lines.dropFirst().compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            return (line[..<colon].lowercased(), value)
          }, uniquingKeysWith: { $1 })
        let size = Int(headers["content-length"] ?? "0") ?? 0
        if buffer.count >= end.upperBound + size {
          let body = Array(buffer[end.upperBound..<(end.upperBound + size)])
          buffer.removeFirst(end.upperBound + size)
          let number = changed.withLock {
            count += 1
            return count
          }
          return Request(headers: headers, body: body, number: number, at: Date().timeIntervalSince1970)
        }
      }
      let size = recv(peer, &chunk, chunk.count, 0)
      guard size > 0 else { return nil }
      buffer += chunk[..<size]
    }
  }

  /// - Returns: whether the connection may go on.
  private func reply(_ peer: Int32, _ answer: Answer) -> Bool {
    switch answer {
    case .status(let status, let headers):
      let head = "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
      return put(peer, head)
    case .garbage: return put(peer, "\u{0}\u{1}not http at all\r\n\r\n") && false
    case .nothing:
      awaitEnd(peer)
      return false
    case .trickle:
      _ = put(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx")
      awaitEnd(peer)
      return false
    case .endless:
      _ = put(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n")
      let piece = String(repeating: "x", count: 65_536)
      for _ in 0..<1000 where !put(peer, piece) { return false }
      changed.withLock { unstopped += 1 }
      return false
    case .reset:
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
      return false
    }
  }

  private func put(_ peer: Int32, _ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  private func awaitEnd(_ peer: Int32) {
    var byte: UInt8 = 0
    while recv(peer, &byte, 1, 0) > 0 {}
  }
}
