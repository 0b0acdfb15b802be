import Basics
import CloudEvents
import Foundation
import JSON
import TestSupport
import Testing
import WebhookSink

/// Requests that other implementations made and judged (Fixtures/webhooks).
@Suite struct WebhookVectorTests {
  private static func vectors(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: Fixtures.bytes("webhooks/\(name).json"))
  }

  private static func headers(_ json: JSONValue?) -> [String: String] {
    Dictionary((json?.members ?? []).map { ($0.0.lowercased(), $0.1.string ?? "") }) { $1 }
  }

  @Test func signaturesAreJudgedAsTheReferenceJudgesThem() throws {
    let vectors = try Self.vectors("standard-webhooks")
    let now = vectors["now"]?.int ?? 0
    for one in vectors["verify"]?.array ?? [] {
      let id = one["id"]?.string ?? ""
      let keys = (one["secrets"]?.array ?? []).compactMap { StandardWebhooks.key(Secret($0.string ?? "")) }
      let headers = Self.headers(one["headers"])
      let body = try #require(Base64.decode(one["body_base64"]?.string ?? ""))
      var isAccepted = true
      do throws(StandardWebhooks.Fault) {
        try StandardWebhooks.verify(body: body, keys: keys, now: now) { headers[$0] }
      } catch {
        isAccepted = false
      }
      #expect(isAccepted == (one["expect"]?.string == "accept"), "\(id)")
    }
  }

  @Test func whatWeSignIsByteForByteWhatOthersSign() throws {
    let vectors = try Self.vectors("standard-webhooks")
    for one in (vectors["sign"]?.array ?? []) + (vectors["sign_rotation"]?.array ?? []) {
      let secrets = one["secrets"]?.array?.compactMap(\.string) ?? [one["secret"]?.string ?? ""]
      let signed = StandardWebhooks.sign(
        id: one["webhook-id"]?.string ?? "", timestamp: one["webhook-timestamp"]?.int ?? 0,
        body: Array((one["body"]?.string ?? "").utf8), keys: secrets.compactMap { StandardWebhooks.key(Secret($0)) })
      #expect(signed == one["webhook-signature"]?.string, "\(one["id"]?.string ?? "")")
    }
  }

  @Test func cloudEventsAreWrittenInBothModes() throws {
    for one in try Self.vectors("cloudevents")["encode"]?.array ?? [] {
      let id = one["id"]?.string ?? ""
      let attributes = Dictionary((one["attributes"]?.members ?? []).map { ($0.0, $0.1.string ?? "") }) { $1 }
      let bytes = one["data_base64"]?.string.flatMap { Base64.decode($0) }
      let event = CloudEvent(attributes: attributes, data: bytes.map { .bytes($0) } ?? one["data"].map { .json($0) })
      let (headers, body) = event.binary
      let expected = one["binary"]
      #expect(Dictionary(headers.map { ($0.name, $0.value) }) { $1 } == Self.headers(expected?["headers"]), "\(id)")
      // JSON by value, and by the value itself: one body of the file is no JSON, but its maker's text for a list.
      if let written = try? JSONValue(parsing: body), let data = one["data"] {
        #expect(Self.sorted(written) == Self.sorted(data), "\(id)")
      } else {
        #expect(body == expected?["body_base64"]?.string.flatMap { Base64.decode($0) }, "\(id)")
      }
      var structured = JSONWriter()
      event.write(to: &structured)
      let written = try JSONValue(parsing: structured.bytes)
      #expect(Self.sorted(written) == Self.sorted(try #require(one["structured"]?["json"])), "\(id)")
      #expect(one["structured"]?["content_type"]?.string == CloudEvent.structuredType)
    }
  }

  @Test func cloudEventsAreReadInEveryMode() throws {
    for one in try Self.vectors("cloudevents")["decode"]?.array ?? [] {
      let id = one["id"]?.string ?? ""
      let body = one["body_base64"]?.string.flatMap { Base64.decode($0) } ?? Array((one["body"]?.string ?? "").utf8)
      var events: [CloudEvent]?
      do throws(CloudEvent.Fault) { events = try CloudEvent.decode(Self.headers(one["headers"]), body: body) } catch {}
      #expect((events != nil) == (one["expect"]?.string == "accept"), "\(id)")
      guard let events, let parsed = one["parsed"] else { continue }
      for (event, expected) in zip(events, parsed.array ?? [parsed]) {
        for (name, value) in expected.members ?? [] where value.string != nil {
          if name == "time" {
            let times = [event.attributes[name], value.string].map { $0.flatMap { Timestamp(rfc3339: $0) } }
            #expect(times[0] == times[1], "\(id)")
          } else {
            #expect(event.attributes[name] == value.string, "\(id): \(name)")
          }
        }
      }
    }
  }

  @Test func headerTextsAndTraceParents() throws {
    let vectors = try Self.vectors("cloudevents")
    for one in vectors["header_values"]?.array ?? [] {
      let (value, encoded) = (one["value"]?.string ?? "", one["encoded"]?.string ?? "")
      #expect(HeaderText.encoded(value) == encoded)
      #expect(HeaderText.decoded(encoded) == value)
    }
    for one in vectors["traceparent"]?.array ?? [] {
      let text = one["value"]?.string ?? ""
      #expect((TraceParent.parsed(text) != nil) == (one["expect"]?.string == "accept"), "\(text)")
    }
  }

  /// Members in the order of their names: JSON is compared by value.
  private static func sorted(_ json: JSONValue) -> JSONValue {
    switch json {
    case .object(let members):
      .object(members.map { ($0.0, sorted($0.1)) }.sorted { $0.0 < $1.0 })
    case .array(let items): .array(items.map { sorted($0) })
    default: json
    }
  }
}
