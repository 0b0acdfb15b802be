// Our POST to others: signed, on kept connections, to public addresses or those the operator lists.

package import Basics
internal import CallModel
internal import Crypto
package import HTTPClient
internal import Loop
package import SinkKit

/// What the operator alone decides about webhooks.
package struct WebhookOptions: Sendable {
  package var policy = AddressPolicy()
  package var proxy: String?
  package var caFile: String?
  package var certificateFile: String?
  package var keyFile: String?
  /// Sent as `Authorization`.
  package var authorization: Secret<String>?
  package var userAgent = "Sidetone"

  package init() {}
}

package final class WebhookSink: Sink {
  private let record: DestinationRecord
  private let post: PreparedPost
  private let options: WebhookOptions
  /// The newest first.
  private let keys: @LoopActor () -> [StandardWebhooks.Key]

  /// A shorter body is sent as it is.
  private static let worthCompressing = 1024

  package init(
    _ record: DestinationRecord, client: HTTPClient, options: WebhookOptions,
    keys: @escaping @LoopActor () -> [StandardWebhooks.Key]
  ) {
    (self.record, self.options, self.keys) = (record, options, keys)
    post = PreparedPost(Self.common(record, options), client: client)
  }

  /// What all requests have in common.
  private static func common(_ record: DestinationRecord, _ options: WebhookOptions) -> ClientRequest {
    var request = ClientRequest("POST", record.url)
    request.headers = [("User-Agent", options.userAgent)]
    if record.body != .binary {
      request.headers.append(("Content-Type", WebhookBody.contentType(record.body, isBatch: record.limits.batch > 1)))
    }
    if let authorization = options.authorization { request.headers.append(("Authorization", authorization.reveal())) }
    (request.timeout, request.connectTimeout) = (record.timeout, min(record.timeout, .seconds(5)))
    (request.policy, request.proxy, request.caFile) = (options.policy, options.proxy, options.caFile)
    (request.certificateFile, request.keyFile) = (options.certificateFile, options.keyFile)
    return request
  }

  package func deliver(_ delivery: Delivery) async -> Receipt {
    let body = WebhookBody(delivery, as: record.body, isBatch: record.limits.batch > 1)
    var (lines, content) = (headers(delivery, body), body.bytes)
    // Signed is what the receiver's framework hands on: the content, without its coding.
    if record.isCompressed, content.count >= Self.worthCompressing, let small = Gzip.compressed(content) {
      content = small
      Self.add("Content-Encoding", "gzip", to: &lines)
    }
    do throws(ClientFailure) {
      return WebhookAnswer.receipt(try await post.send(lines, content), now: .now())
    } catch {
      return WebhookAnswer.receipt(error)
    }
  }

  package func close() { post.close() }

  private func headers(_ delivery: Delivery, _ body: WebhookBody) -> [UInt8] {
    let (id, time) = (Self.id(of: delivery), Timestamp.now().milliseconds / 1000)
    var lines: [UInt8] = []
    lines.reserveCapacity(320)
    Self.add("webhook-id", id, to: &lines)
    Self.add("webhook-timestamp", String(time), to: &lines)
    Self.add(
      "webhook-signature", StandardWebhooks.sign(id: id, timestamp: time, body: body.bytes, keys: keys()), to: &lines)
    // Of the binary form every attribute is a header.
    for (name, value) in body.headers { Self.add(name, value, to: &lines) }
    return lines
  }

  private static func add(_ name: String, _ value: String, to lines: inout [UInt8]) {
    lines += name.utf8
    lines += ": ".utf8
    lines += value.utf8
    lines.append(0)
  }

  /// The same for every attempt: of one event its id, of several an id made from theirs.
  private static func id(of delivery: Delivery) -> String {
    if delivery.entries.count == 1 { return delivery.entries[0].id.description }
    let digest = Digest.sha256Halves(delivery.entries.flatMap(\.id.uuid.bytes))
    return UUID(milliseconds: delivery.entries[0].occurredAt.milliseconds, digest: digest).description
  }
}
