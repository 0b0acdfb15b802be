// A connection to NATS and the replies on it. The library is used from a thread of ours, since sending can block; it
// calls back on threads of its own, and what it says is taken to the loop.

internal import Basics
internal import CShims
internal import Crypto
internal import Glibc
internal import Loop
internal import SinkKit

struct NATSReply: Sendable {
  let data: [UInt8]
  /// Nobody listens on the subject.
  let isUnanswered: Bool
}

enum NATSFault: Error, Sendable {
  case notSent(String)
  case noReply
}

@LoopActor
final class NATSConnection {
  private(set) var isConnected = false
  /// Why it is not.
  private(set) var reason = "not connected yet"
  /// Grows with every connection made.
  private(set) var generation = 0

  private let config: NATSSinkConfig
  private var isClosed = false
  private var isRenewing = false
  private let worker = Worker(name: "nats")
  private let link = NATSLink()
  private let inbox: String
  private var waiting: [UInt64: CheckedContinuation<Result<NATSReply, NATSFault>, Never>] = [:]
  private var lastRequest: UInt64 = 0

  /// Loads the library and begins to connect, for ever.
  init(_ config: NATSSinkConfig) throws {
    var why = [CChar](repeating: 0, count: 256)
    guard shim_nats_load(&why, why.count) == 0 else {
      throw NATSFault.notSent(String(decoding: why.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    self.config = config
    inbox = "_INBOX." + Hex.encode(Random.bytes(11))
    link.owner = self
    worker.post { [link, inbox] in link.connect(config, inbox: inbox) }
  }

  /// The library gives up after refusals; we do not.
  private func renew() {
    guard !isClosed, !isRenewing else { return }
    isRenewing = true
    LoopActor.loop.after(.seconds(2)) { [self] in
      isRenewing = false
      guard !isClosed else { return }
      worker.post { [link, config, inbox] in
        link.close()
        link.connect(config, inbox: inbox)
      }
    }
  }

  func close() {
    isClosed = true
    link.owner = nil
    worker.post { [link] in link.close() }
    worker.stop()
    for (_, continuation) in waiting { continuation.resume(returning: .failure(.noReply)) }
    waiting = [:]
  }

  /// Sends, and gives the reply.
  func request(
    _ subject: String, _ data: [UInt8], messageID: String? = nil, contentType: String? = nil, within limit: Duration
  ) async throws(NATSFault) -> NATSReply {
    lastRequest += 1
    let (number, reply) = (lastRequest, "\(inbox).\(lastRequest)")
    let timer = LoopActor.loop.after(limit) { [weak self] in self?.answer(number, .failure(.noReply)) }
    defer { LoopActor.loop.cancel(timer) }
    let answer: Result<NATSReply, NATSFault> = await withCheckedContinuation { continuation in
      waiting[number] = continuation
      worker.post { [link] in
        guard let why = link.publish(subject, reply, data, messageID, contentType) else { return }
        LoopActor.begin { [weak self] in self?.answer(number, .failure(.notSent(why))) }
      }
    }
    return try answer.get()
  }

  private func answer(_ number: UInt64, _ reply: Result<NATSReply, NATSFault>) {
    waiting.removeValue(forKey: number)?.resume(returning: reply)
  }

  fileprivate func take(_ subject: String, _ reply: NATSReply) {
    guard let number = UInt64(subject.dropFirst(inbox.count + 1)) else { return }
    answer(number, .success(reply))
  }

  fileprivate func state(_ state: Int32, _ why: String) {
    let isConnected = state == 1
    if state < 0 { renew() }
    if isConnected, !self.isConnected { generation += 1 }
    (self.isConnected, reason) = (isConnected, why)
  }
}

/// The library's handle: touched on the worker's thread, called back on the library's.
private final class NATSLink: @unchecked Sendable {
  @LoopActor weak var owner: NATSConnection?
  private var handle: OpaquePointer?
  private var isKept = false

  func connect(_ config: NATSSinkConfig, inbox: String) {
    let texts = [
      config.record.url, "sidetone", config.username, config.password?.reveal(), config.token?.reveal(),
      config.credentialsFile, config.caFile, config.certificateFile, config.keyFile, inbox,
    ]
    withCStrings(texts) { texts in
      var options = shim_nats_options()
      (options.url, options.name, options.username, options.password) = (texts[0], texts[1], texts[2], texts[3])
      (options.token, options.credentials_file, options.ca_file) = (texts[4], texts[5], texts[6])
      (options.cert_file, options.key_file, options.inbox) = (texts[7], texts[8], texts[9])
      var why = [CChar](repeating: 0, count: 256)
      // The library keeps the address until the process ends.
      if !isKept { _ = Unmanaged.passRetained(self) }
      isKept = true
      let context = Unmanaged.passUnretained(self).toOpaque()
      handle = shim_nats_connect(
        &options,
        { context, subject, data, size, isUnanswered in
          let link = Unmanaged<NATSLink>.fromOpaque(context!).takeUnretainedValue()
          let bytes = Array(UnsafeRawBufferPointer(start: data, count: size))
          let subject = String(cString: subject!)
          let reply = NATSReply(data: bytes, isUnanswered: isUnanswered != 0)
          LoopActor.begin { link.owner?.take(subject, reply) }
        },
        { context, isConnected, why in
          let link = Unmanaged<NATSLink>.fromOpaque(context!).takeUnretainedValue()
          let why = String(cString: why!)
          LoopActor.begin { link.owner?.state(isConnected, why) }
        }, context, &why, why.count)
      if handle == nil {
        let reason = String(decoding: why.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        LoopActor.begin { [self] in owner?.state(-1, reason) }
      }
    }
  }

  /// - Returns: why it was not sent.
  func publish(_ subject: String, _ reply: String, _ data: [UInt8], _ id: String?, _ type: String?) -> String? {
    guard let handle else { return "not connected" }
    let status = shim_nats_publish(handle, subject, reply, data, data.count, id, type)
    return status == 0 ? nil : String(cString: shim_nats_text(status))
  }

  func close() {
    if let handle { shim_nats_close(handle) }
    handle = nil
  }
}

/// The texts as C strings, valid inside `body` only.
private func withCStrings<T>(_ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> T) -> T {
  let copies = texts.map { $0.flatMap { strdup($0) } }
  defer { for copy in copies { free(copy) } }
  return body(copies.map { UnsafePointer($0) })
}
