// A listening socket: hands over accepted streams, and pauses for a moment when the process runs out of descriptors.

internal import Basics
internal import CShims
internal import Glibc

@LoopActor
package final class Listener {
  package let port: Int
  private let descriptor: Int32
  private let path: String?
  private let loop = LoopActor.loop
  private var registration: Loop.Registration?
  private let accept: @LoopActor (Stream) -> Void

  /// Where to listen: a numeric address and port (0 = any free one), or a Unix socket.
  package enum Place: Hashable, Sendable {
    case tcp(host: String, port: Int)
    case unix(path: String)
    /// A socket that listens already, given by the service manager (sd_listen_fds(3)).
    case inherited(Int32)

    /// Reads `127.0.0.1:8082`, `[::1]:8082` or `/run/x.sock`.
    package init?(_ text: String) {
      if text.hasPrefix("/") {
        self = .unix(path: text)
      } else {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
          return nil
        }
        let host = text[..<colon].drop { $0 == "[" }.prefix { $0 != "]" }
        self = .tcp(host: String(host), port: Int(port))
      }
    }
  }

  package init(at place: Place, accept: @escaping @LoopActor (Stream) -> Void) throws(StreamFailure) {
    self.accept = accept
    var bound: Int32 = 0
    let name: String
    switch place {
    case .tcp(let host, let port):
      (path, name) = (nil, "\(host):\(port)")
      descriptor = shim_listen_tcp(host, String(port), 1024, &bound)
    case .unix(let socket):
      (path, name) = (socket, socket)
      descriptor = shim_listen_unix(socket, 0o600)
    case .inherited(let given):
      (path, name) = (nil, "descriptor \(given)")
      descriptor = shim_adopt_listener(given, &bound)
    }
    port = Int(bound)
    guard descriptor >= 0 else { throw StreamFailure(peer: name, code: -descriptor) }
    registration = loop.watch(descriptor, for: .readable) { [weak self] _ in self?.acceptAll() }
  }

  private func acceptAll() {
    for _ in 0..<64 {
      let accepted = shim_accept(descriptor)
      if accepted >= 0 { accept(Stream(descriptor: accepted)) } else { return recover(from: -accepted) }
    }
  }

  private func recover(from code: Int32) {
    guard code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM, let registration else { return }
    loop.change(registration, to: [])
    loop.after(.milliseconds(100)) { [weak self] in
      if let self, let registration = self.registration { self.loop.change(registration, to: .readable) }
    }
  }

  /// Takes no more connections; those already accepted live on.
  package func close() {
    guard let registration else { return }
    loop.cancel(registration)
    self.registration = nil
    Glibc.close(descriptor)
    if let path { unlink(path) }
  }
}
