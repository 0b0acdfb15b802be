// Events into a Kafka topic: keyed by call, so that a call keeps its order in its partition, and by an idempotent
// producer, so that the library's own retries double nothing. Reports come on the loop: the library writes to a
// descriptor that the loop watches.

internal import Basics
internal import CShims
internal import CallModel
internal import Glibc
internal import Loop
package import SinkKit

package struct KafkaFault: Error, CustomStringConvertible {
  package let description: String
}

package final class KafkaSink: Sink {
  private let config: KafkaSinkConfig
  private var producer: OpaquePointer?
  private let wake = shim_eventfd()
  private var registration: Loop.Registration?
  private var waiting: [Int: CheckedContinuation<Receipt, Never>] = [:]
  private var lastNumber = 0
  private var trouble = ""
  private var isRenewing = false

  /// Loads the library; it connects by itself, for ever.
  package init(_ config: KafkaSinkConfig) throws {
    self.config = config
    var why = [CChar](repeating: 0, count: 512)
    guard shim_kafka_load(&why, why.count) == 0 else { throw KafkaFault(description: Self.text(why)) }
    try open(&why)
    registration = LoopActor.loop.watch(wake, for: .readable) { [unowned self] _ in
      var count: UInt64 = 0
      read(wake, &count, 8)
      if let producer { shim_kafka_take(producer) }
    }
  }

  private func open(_ why: inout [CChar]) throws {
    var settings = config.settings.flatMap { [$0.name, $0.value] }
    if let password = config.password { settings += ["sasl.password", password.reveal()] }
    let texts = settings.map { strdup($0) }
    defer { for text in texts { free(text) } }
    let context = Unmanaged.passUnretained(self).toOpaque()
    producer = (texts.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { settings in
      shim_kafka_producer(
        settings.baseAddress, wake,
        { context, number, error, isFatal in
          let (address, error) = (UInt(bitPattern: context), error.map { String(cString: $0) })
          LoopActor.assumeIsolated { KafkaSink.at(address).report(number, error, isFatal != 0) }
        },
        { context, why in
          let (address, why) = (UInt(bitPattern: context), String(cString: why!))
          LoopActor.assumeIsolated { KafkaSink.at(address).note(why) }
        }, context, &why, why.count)
    }
    if producer == nil { throw KafkaFault(description: Self.text(why)) }
  }

  private func note(_ why: String) {
    trouble = why
    guard why == "fatal", !isRenewing else { return }
    isRenewing = true
    // After this call of the library's is over.
    LoopActor.loop.after(.seconds(1)) { [self] in renew() }
  }

  /// A producer that met a fatal error takes nothing more (rdkafka.h, RD_KAFKA_RESP_ERR__FATAL): another takes its place.
  private func renew() {
    isRenewing = false
    guard registration != nil else { return }
    end(producer, closing: nil)
    producer = nil
    for (_, continuation) in waiting { continuation.resume(returning: Receipt(.kept, "the producer began anew")) }
    waiting = [:]
    var why = [CChar](repeating: 0, count: 512)
    do { try open(&why) } catch { note("fatal") }
  }

  /// Ending a producer blocks for as long as its threads take; this object lives until then.
  private func end(_ producer: OpaquePointer?, closing descriptor: Int32?) {
    let producer = UInt(bitPattern: producer)
    let worker = Worker(name: "kafka-end")
    worker.post { [self] in
      if producer != 0 { shim_kafka_close(OpaquePointer(bitPattern: producer)) }
      withExtendedLifetime(self) { if let descriptor { _ = Glibc.close(descriptor) } }
    }
    worker.stop()
  }

  private static func at(_ address: UInt) -> KafkaSink {
    Unmanaged<KafkaSink>.fromOpaque(UnsafeRawPointer(bitPattern: address)!).takeUnretainedValue()
  }

  private static func text(_ bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The last reports are taken by nobody; what they were of is sent again after a start.
  package func close() {
    if let registration { LoopActor.loop.cancel(registration) }
    registration = nil
    let ended = producer
    producer = nil
    for (_, continuation) in waiting { continuation.resume(returning: Receipt(.kept, "the sink was closed")) }
    waiting = [:]
    end(ended, closing: wake)
  }

  package func deliver(_ delivery: Delivery) async -> Receipt {
    for entry in delivery.entries {
      let receipt = await send(entry)
      guard receipt.verdict == .accepted else { return receipt }
    }
    return .accepted
  }

  private func send(_ entry: JournalEntry) async -> Receipt {
    guard let producer else { return Receipt(.kept, "the sink was closed") }
    lastNumber += 1
    let number = lastNumber
    let key = Array((entry.callID?.description ?? entry.type).utf8)
    return await withCheckedContinuation { continuation in
      waiting[number] = continuation
      var isFatal: Int32 = 0
      var why = [CChar](repeating: 0, count: 256)
      let value = entry.native
      let failed = shim_kafka_send(
        producer, config.topic, key, key.count, value, value.count, entry.id.description,
        "application/cloudevents+json", number, &isFatal, &why, why.count)
      if failed != 0 { report(number, Self.text(why), isFatal != 0) }
    }
  }

  private func report(_ number: Int, _ error: String?, _ isFatal: Bool) {
    guard let continuation = waiting.removeValue(forKey: number) else { return }
    guard let error else { return continuation.resume(returning: .accepted) }
    let reason = trouble.isEmpty ? error : "\(error) (\(trouble))"
    continuation.resume(returning: Receipt(isFatal ? .refused : .kept, reason))
  }
}
