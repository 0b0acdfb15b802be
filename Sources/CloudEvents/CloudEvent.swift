// CloudEvents 1.0.2 as a value, and its forms over HTTP: binary, structured and batched (HTTP binding §3).

internal import Basics
package import JSON

package struct CloudEvent: Sendable, Equatable {
  /// Everything but the data, by lower-case name: `id`, `source`, `type`, `specversion`, and what else there is.
  package var attributes: [String: String]
  package var data: Payload?

  package enum Payload: Sendable, Equatable {
    case json(JSONValue)
    case bytes([UInt8])
  }

  package enum Fault: Error, Equatable {
    case malformed, missingAttribute, emptyAttribute, badAttributeName, badTime, unsupportedVersion, badEscape
    case twoData, badBase64
  }

  package init(attributes: [String: String], data: Payload? = nil) {
    (self.attributes, self.data) = (attributes, data)
  }

  /// Refuses what the specification does not allow (§3.1, §3.2).
  package func checked() throws(Fault) -> CloudEvent {
    for name in ["id", "source", "type", "specversion"] {
      guard let value = attributes[name] else { throw .missingAttribute }
      if value.isEmpty { throw .emptyAttribute }
    }
    for name in attributes.keys {
      let isName = !name.isEmpty && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
      if !isName { throw .badAttributeName }
    }
    if attributes["specversion"] != "1.0" { throw .unsupportedVersion }
    if let time = attributes["time"], Timestamp(rfc3339: time) == nil { throw .badTime }
    return self
  }

  /// Whether this media type is JSON (`application/json`, `…+json`); nothing said is JSON.
  static func isJSON(_ type: String?) -> Bool {
    guard let type else { return true }
    let media = type.split(separator: ";").first.map { String($0).trimmed.asciiLowercased } ?? ""
    return media.hasSuffix("/json") || media.hasSuffix("+json")
  }
}

// MARK: Binary

extension CloudEvent {
  /// - Returns: headers in the order of their names, and the body.
  package var binary: (headers: [(name: String, value: String)], body: [UInt8]) {
    let headers = attributes.filter { $0.key != "datacontenttype" }.sorted { $0.key < $1.key }
      .map { ("ce-" + $0.key, HeaderText.encoded($0.value)) }
    let type = attributes["datacontenttype"].map { [("content-type", $0)] } ?? []
    return (headers + type, body)
  }

  private var body: [UInt8] {
    switch data {
    case nil: return []
    case .bytes(let bytes): return bytes
    case .json(.string(let text)) where !Self.isJSON(attributes["datacontenttype"]): return Array(text.utf8)
    case .json(let value):
      var json = JSONWriter()
      value.write(to: &json)
      return json.bytes
    }
  }

  /// - Parameter headers: by lower-case name.
  package init(binary headers: [String: String], body: [UInt8]) throws(Fault) {
    var attributes: [String: String] = [:]
    for (name, value) in headers where name.hasPrefix("ce-") {
      guard let text = HeaderText.decoded(value) else { throw .badEscape }
      attributes[String(name.dropFirst(3))] = text
    }
    attributes["datacontenttype"] = headers["content-type"]
    self.init(attributes: attributes, data: body.isEmpty ? nil : try Self.payload(body, headers["content-type"]))
    self = try checked()
  }

  private static func payload(_ body: [UInt8], _ type: String?) throws(Fault) -> Payload {
    guard isJSON(type) else { return .bytes(body) }
    guard let value = try? JSONValue(parsing: body) else { throw .malformed }
    return .json(value)
  }
}

// MARK: Structured

extension CloudEvent {
  package static let structuredType = "application/cloudevents+json"
  package static let batchType = "application/cloudevents-batch+json"

  package func write(to json: inout JSONWriter) {
    json.object { json in
      for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
        json.key(name)
        json.value(value)
      }
      switch data {
      case nil: break
      case .json(let value):
        json.key("data")
        value.write(to: &json)
      case .bytes(let bytes): json.field("data_base64", Base64.encode(bytes))
      }
    }
  }

  package init(structured body: [UInt8]) throws(Fault) {
    guard let json = try? JSONValue(parsing: body) else { throw .malformed }
    try self.init(json)
  }

  package static func batch(_ body: [UInt8]) throws(Fault) -> [CloudEvent] {
    guard let array = (try? JSONValue(parsing: body))?.array else { throw .malformed }
    var events: [CloudEvent] = []
    for json in array { events.append(try CloudEvent(json)) }
    return events
  }

  private init(_ json: JSONValue) throws(Fault) {
    guard let members = json.members else { throw .malformed }
    self.init(attributes: [:])
    for (name, value) in members where value != .null {
      switch name {
      case "data":
        if data != nil { throw .twoData }
        data = .json(value)
      case "data_base64":
        if data != nil { throw .twoData }
        guard let bytes = value.string.flatMap({ Base64.decode($0) }) else { throw .badBase64 }
        data = .bytes(bytes)
      default:
        guard let text = Self.text(value) else { throw .malformed }
        attributes[name] = text
      }
    }
    self = try checked()
  }

  /// Attributes are texts; extensions may be numbers and flags (JSON format §2.2).
  private static func text(_ value: JSONValue) -> String? {
    if let text = value.string { return text }
    if let flag = value.bool { return flag ? "true" : "false" }
    return value.int.map { String($0) }
  }
}

// MARK: Requests

extension CloudEvent {
  /// The events of a request, in whichever mode its content type says. Batches are looked for first.
  /// - Parameter headers: by lower-case name.
  package static func decode(_ headers: [String: String], body: [UInt8]) throws(Fault) -> [CloudEvent] {
    let type = headers["content-type"]?.asciiLowercased ?? ""
    if type.hasPrefix("application/cloudevents-batch") { return try batch(body) }
    if type.hasPrefix("application/cloudevents") { return [try CloudEvent(structured: body)] }
    return [try CloudEvent(binary: headers, body: body)]
  }
}
