// A blocking socket to a port of this machine.

internal import Glibc

final class PlainSocket {
  private let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  private var chunk = [UInt8](repeating: 0, count: 65_536)

  /// - Parameter patience: seconds that one `receive` may take.
  init?(_ port: Int, patience: Int = 120) {
    var limit = timeval(tv_sec: patience, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard isConnected == 0 else { return nil }
  }

  func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { return }
      rest = rest.dropFirst(sent)
    }
  }

  /// No more will be sent.
  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// What came; nil when the server closed or said nothing for too long.
  func receive() -> [UInt8]? {
    let size = recv(descriptor, &chunk, chunk.count, 0)
    return size > 0 ? Array(chunk[..<size]) : nil
  }

  deinit { close(descriptor) }
}
