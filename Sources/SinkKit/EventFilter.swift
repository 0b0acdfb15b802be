// Which events a destination wants. An empty list is all; a type may end in `*`.

internal import Basics
package import CallModel
internal import JSON

package struct EventFilter: Sendable, Hashable {
  package var types: [String] = []
  package var dids: [String] = []
  package var queues: [String] = []

  package init(types: [String] = [], dids: [String] = [], queues: [String] = []) {
    (self.types, self.dids, self.queues) = (types, dids, queues)
  }

  /// Told by the agent to itself, to see that a destination still takes what it is given.
  package static let heartbeatType = "sidetone.heartbeat"

  package func matches(type: String) -> Bool {
    types.isEmpty
      || types.contains { $0 == type || $0.hasSuffix("*") && type.hasPrefix($0.dropLast()) }
  }

  /// Cost: reads the call's JSON where DIDs or queues are named.
  package func matches(_ entry: JournalEntry) -> Bool {
    guard matches(type: entry.type) else { return false }
    if dids.isEmpty, queues.isEmpty { return true }
    let call = entry.call.flatMap { try? JSONValue(parsing: $0) }
    if !dids.isEmpty, !(call?["did"]?.string.map(dids.contains) ?? false) { return false }
    return queues.isEmpty || Self.queues(of: entry, call).contains(where: queues.contains)
  }

  private static func queues(of entry: JournalEntry, _ call: JSONValue?) -> [String] {
    let detail = try? JSONValue(parsing: entry.detail)
    return [call?["queue"]?.string, detail?["queue"]?.string].compactMap(\.self)
  }
}
