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
  private let client: HTTPClient
  private let options: WebhookOptions
  /// The newest first.
  private let keys: @LoopActor () -> [StandardWebhooks.Key]

  /// A shorter body is sent as it is.
  private static let worthCompressing = 1024

  package init(
    _ record: DestinationRecord, client: HTTPClient, options: WebhookOptions,
    keys: @escaping @LoopActor () -> [StandardWebhooks.Key]
  ) {
    (self.record, self.client, self.options, self.keys) = (record, client, options, keys)
  }

  package func deliver(_ delivery: Delivery) async -> Receipt {
    do throws(ClientFailure) {
      return WebhookAnswer.receipt(try await client.send(request(delivery)), now: .now())
    } catch {
      return WebhookAnswer.receipt(error)
    }
  }

  package func close() {}

  private func request(_ delivery: Delivery) -> ClientRequest {
    let body = WebhookBody(delivery, as: record.body, isBatch: record.limits.batch > 1)
    let (id, time) = (Self.id(of: delivery), Timestamp.now().milliseconds / 1000)
    var request = ClientRequest("POST", record.url)
    request.headers = body.headers
    request.headers += [
      ("User-Agent", options.userAgent), ("webhook-id", id), ("webhook-timestamp", String(time)),
      ("webhook-signature", StandardWebhooks.sign(id: id, timestamp: time, body: body.bytes, keys: keys())),
    ]
    if let authorization = options.authorization { request.headers.append(("Authorization", authorization.reveal())) }
    request.body = body.bytes
    // Signed is what the receiver's framework hands on: the content, without its coding.
    if record.isCompressed, body.bytes.count >= Self.worthCompressing, let small = Gzip.compressed(body.bytes) {
      request.body = small
      request.headers.append(("Content-Encoding", "gzip"))
    }
    (request.timeout, request.connectTimeout) = (record.timeout, min(record.timeout, .seconds(5)))
    (request.bodyLimit, request.isBodyCut) = (4096, true)
    (request.policy, request.proxy, request.caFile) = (options.policy, options.proxy, options.caFile)
    (request.certificateFile, request.keyFile) = (options.certificateFile, options.keyFile)
    return request
  }

  /// The same for every attempt: of one event its id, of several an id made from theirs.
  private static func id(of delivery: Delivery) -> String {
    if delivery.entries.count == 1 { return delivery.entries[0].id.description }
    let digest = Digest.sha256Halves(delivery.entries.flatMap(\.id.uuid.bytes))
    return UUID(milliseconds: delivery.entries[0].occurredAt.milliseconds, digest: digest).description
  }
}
