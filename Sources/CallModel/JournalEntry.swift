// An event as the journal keeps it, and its native form on the wire.

package import Basics
package import JSON

/// An event at its position, already in the pieces of JSON that every rendering is put together from.
package struct JournalEntry: Hashable, Sendable {
  package let position: Position
  package let id: EventID
  package let type: String
  package let source: String
  package let tenant: TenantID
  package let occurredAt: Timestamp
  package let callID: CallID?
  /// The call as a JSON object.
  package let call: [UInt8]?
  /// What the event says beside the call, as a JSON object.
  package let detail: [UInt8]
  /// The call itself on its way to the journal, so that what is at hand is not read back from JSON; nil afterwards.
  package private(set) var model: Call?
  /// When it was written to the journal; nil before.
  package private(set) var storedAt: Timestamp?

  package init(
    position: Position, id: EventID, type: String, source: String, tenant: TenantID, occurredAt: Timestamp,
    callID: CallID?, call: [UInt8]?, detail: [UInt8], storedAt: Timestamp? = nil
  ) {
    (self.position, self.id, self.type, self.source, self.tenant) = (position, id, type, source, tenant)
    (self.occurredAt, self.callID, self.call, self.detail) = (occurredAt, callID, call, detail)
    self.storedAt = storedAt
  }

  package init(_ event: CallEvent, at position: Position) {
    self.init(
      position: position, id: event.id, type: event.kind.type, source: event.source, tenant: event.tenant,
      occurredAt: event.occurredAt, callID: event.call?.id, call: event.call?.json, detail: event.detail)
    model = event.call
  }

  package func placed(at position: Position, _ storedAt: Timestamp) -> JournalEntry {
    JournalEntry(
      position: position, id: id, type: type, source: source, tenant: tenant, occurredAt: occurredAt, callID: callID,
      call: call, detail: detail, storedAt: storedAt)
  }

  /// The call read back from its JSON; nil for an event that is of no call.
  package var parsedCall: Call? { call.flatMap { try? JSONValue(parsing: $0) }.flatMap(Call.init) }

  /// Bytes it takes in memory, about.
  package var weight: Int { 200 + (call?.count ?? 0) + detail.count }

  /// CloudEvents 1.0 in structured JSON: the native form.
  package func writeNative(to json: inout JSONWriter) {
    json.object { json in
      json.field("specversion", "1.0")
      json.field("id", id.uuid)
      json.field("source", source)
      json.field("type", type)
      json.key("subject")
      if let callID { json.value("call/", callID.uuid) } else { json.value("link") }
      json.field("time", occurredAt)
      json.field("datacontenttype", "application/json")
      // So many digits that text order is the order of positions (CloudEvents' sequence extension).
      json.key("sequence")
      json.value(position.value, digits: 20)
      json.field("tenant", tenant.uuid)
      json.key("data")
      json.object { json in
        if let call {
          json.key("call")
          json.raw(call)
        }
        json.members(of: detail)
      }
    }
  }

  package var native: [UInt8] {
    var json = JSONWriter(capacity: 512 + (call?.count ?? 0) + detail.count)
    writeNative(to: &json)
    return json.bytes
  }
}
