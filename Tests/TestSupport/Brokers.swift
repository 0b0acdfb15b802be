// The brokers that sinks publish to: a real nats-server, and librdkafka's own mock of a Kafka cluster.

internal import Foundation
internal import Glibc

/// nats-server with JetStream, in a folder of its own; it can be killed and started again on its port.
package final class NATSServer: @unchecked Sendable {
  package let port: Int
  private let folder = TemporaryDirectory.make()
  private var process: Process?

  package init() throws {
    port = Self.freePort()
    try start()
  }

  /// - Parameter login: what it asks of its clients; nothing unless told.
  package func start(login: [String] = []) throws {
    let server = Process()
    server.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    server.arguments = ["nats-server", "-js", "-a", "127.0.0.1", "-p", "\(port)", "-sd", folder] + login
    server.environment = ["PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin"]
    server.standardOutput = FileHandle.nullDevice
    server.standardError = FileHandle.nullDevice
    try server.begin()
    process = server
  }

  package func kill() {
    guard let process else { return }
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    self.process = nil
  }

  private static func freePort() -> Int {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(probe) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(probe, $0, size)
        _ = getsockname(probe, $0, &size)
      }
    }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  deinit { kill() }
}

/// A Kafka cluster in this process, of librdkafka's making (rdkafka_mock.h).
package final class KafkaCluster: @unchecked Sendable {
  package let bootstraps: String
  private let library: UnsafeMutableRawPointer
  private let cluster: OpaquePointer

  package struct Missing: Error {
    let what: String
  }

  package init(brokers: Int32) throws {
    guard let library = dlopen("librdkafka.so.1", RTLD_NOW) else { throw Missing(what: "apt install librdkafka1") }
    self.library = library
    func find<T>(_ name: String, _ type: T.Type) throws -> T {
      guard let symbol = dlsym(library, name) else { throw Missing(what: name) }
      return unsafeBitCast(symbol, to: type)
    }
    typealias MakeConf = @convention(c) () -> OpaquePointer?
    typealias Make = @convention(c) (Int32, OpaquePointer?, UnsafeMutablePointer<CChar>?, Int) -> OpaquePointer?
    typealias MakeCluster = @convention(c) (OpaquePointer?, Int32) -> OpaquePointer?
    typealias Bootstraps = @convention(c) (OpaquePointer?) -> UnsafePointer<CChar>?
    let client = try find("rd_kafka_new", Make.self)(0, find("rd_kafka_conf_new", MakeConf.self)(), nil, 0)
    guard let cluster = try find("rd_kafka_mock_cluster_new", MakeCluster.self)(client, brokers) else {
      throw Missing(what: "a mock cluster")
    }
    self.cluster = cluster
    bootstraps = String(cString: try find("rd_kafka_mock_cluster_bootstraps", Bootstraps.self)(cluster)!)
  }

  /// - Parameter broker: counted from 1.
  package func set(_ broker: Int32, isUp: Bool) {
    typealias Set = @convention(c) (OpaquePointer?, Int32) -> Int32
    let name = isUp ? "rd_kafka_mock_broker_set_up" : "rd_kafka_mock_broker_set_down"
    _ = unsafeBitCast(dlsym(library, name), to: Set.self)(cluster, broker)
  }
}

/// A program of the system run to its end.
package enum Tool {
  package static func run(_ words: [String]) throws -> String {
    let process = Process()
    let output = Pipe.make()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.begin()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
  }
}
