// A TLS server with a certificate of one's own making, by the openssl program.

internal import Foundation

package final class TLSServer {
  package let port: Int
  /// Of the authority that signed the server's certificate.
  package let caFile: String
  private let process = Process()

  /// - Parameters:
  ///   - name: whom the certificate is for.
  ///   - mode: of s_server: `-www` answers HTTP, `-rev` sends each line back reversed.
  package init(name: String, mode: String) throws {
    let folder = TemporaryDirectory.make()
    caFile = folder + "/ca.pem"
    let script = """
      set -e; cd '\(folder)'
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test CA'
      openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr -subj '/CN=\(name)'
      echo 'subjectAltName=DNS:\(name)' > ext
      openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext
      """
    let making = Process()
    making.executableURL = URL(fileURLWithPath: "/bin/sh")
    making.arguments = ["-c", script]
    making.standardError = FileHandle.nullDevice
    try making.begin()
    making.waitUntilExit()
    let output = Pipe.make()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", folder + "/cert.pem", "-key", folder + "/key.pem", mode,
    ]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    // Kept open: at the end of its input it would end.
    process.standardInput = Pipe.make()
    try process.begin()
    process.endWithTests()
    var said = ""
    while !said.contains("ACCEPT 127.0.0.1:") || !said.hasSuffix("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      said += String(decoding: more, as: UTF8.self)
    }
    port = said.split(separator: "ACCEPT 127.0.0.1:").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
  }

  // s_server does not heed SIGTERM.
  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}
