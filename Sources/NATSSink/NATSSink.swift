// Events into a NATS JetStream: acknowledged when the stream has them, once each by their id.

internal import Basics
internal import CallModel
internal import JSON
internal import Loop
package import SinkKit

package final class NATSSink: Sink {
  private let config: NATSSinkConfig
  private let connection: NATSConnection
  /// The connection on which the stream was last seen.
  private var preparedOn = 0

  /// For how long the server knows an id again; retries after a short outage are well within it.
  private static let rememberIDs: Duration = .seconds(3600)

  package init(_ config: NATSSinkConfig) throws {
    self.config = config
    connection = try NATSConnection(config)
  }

  package func close() { connection.close() }

  package func deliver(_ delivery: Delivery) async -> Receipt {
    guard connection.isConnected else { return Receipt(.kept, connection.reason) }
    if preparedOn != connection.generation, let fault = await prepare() { return fault }
    for entry in delivery.entries {
      let receipt = await publish(entry)
      guard receipt.verdict == .accepted else { return receipt }
    }
    return .accepted
  }

  private func publish(_ entry: JournalEntry) async -> Receipt {
    let subject = "\(config.subject).\(entry.tenant).\(entry.type)"
    do throws(NATSFault) {
      let reply = try await connection.request(
        subject, entry.native, messageID: entry.id.description, contentType: "application/cloudevents+json",
        within: config.record.timeout)
      return receipt(reply)
    } catch {
      switch error {
      case .notSent(let why): return Receipt(.kept, why)
      case .noReply: return Receipt(.kept, "the stream did not acknowledge in time")
      }
    }
  }

  /// A publish acknowledgement: `{"stream":"S","seq":1,"duplicate":true}`, or an error (NATS JetStream wire API).
  private func receipt(_ reply: NATSReply) -> Receipt {
    if reply.isUnanswered {
      preparedOn = 0
      return Receipt(.kept, "no stream takes \(config.subject).>")
    }
    guard let json = try? JSONValue(parsing: reply.data) else { return Receipt(.kept, "an answer that is no JSON") }
    guard let error = json["error"] else {
      return json["stream"]?.string == nil ? Receipt(.kept, "an answer without a stream") : .accepted
    }
    let (code, text) = (error["err_code"]?.int ?? 0, error["description"]?.string ?? "refused")
    // JSStreamMessageExceedsMaximumErr: this one will never fit.
    return Receipt(code == 10_054 ? .refused : .kept, text, code: Int(code))
  }

  // MARK: The stream

  /// Sees to it that a stream takes our subjects.
  private func prepare() async -> Receipt? {
    let generation = connection.generation
    do throws(NATSFault) {
      let known = try await api("STREAM.INFO." + config.stream, [])
      if known["error"] == nil {
        guard Self.takes(known["config"]?["subjects"], config.subject) else {
          return Receipt(.kept, "the stream \(config.stream) does not take \(config.subject).>; add it to its subjects")
        }
      } else {
        let made = try await api("STREAM.CREATE." + config.stream, streamConfig)
        if let error = made["error"] {
          return Receipt(.kept, "the stream \(config.stream) cannot be made: \(error["description"]?.string ?? "")")
        }
      }
    } catch {
      return Receipt(.kept, "JetStream does not answer: is it on at this server?")
    }
    preparedOn = generation
    return nil
  }

  private func api(_ method: String, _ body: [UInt8]) async throws(NATSFault) -> JSONValue {
    let reply = try await connection.request("$JS.API." + method, body, within: config.record.timeout)
    guard !reply.isUnanswered, let json = try? JSONValue(parsing: reply.data) else { throw .noReply }
    return json
  }

  private var streamConfig: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.field("name", config.stream)
      json.key("subjects")
      json.array { $0.value("\(config.subject).>") }
      json.field("storage", "file")
      json.field("num_replicas", 1)
      json.field("duplicate_window", Self.rememberIDs.nanoseconds)
    }
    return json.bytes
  }

  private static func takes(_ subjects: JSONValue?, _ subject: String) -> Bool {
    let taken = subjects?.array?.compactMap(\.string) ?? []
    let parts = subject.split(separator: ".")
    return taken.contains { pattern in
      let names = pattern.split(separator: ".")
      guard names.last == ">", names.count - 1 <= parts.count else { return false }
      return zip(names.dropLast(), parts).allSatisfy { $0 == "*" || $0 == $1 }
    }
  }
}
