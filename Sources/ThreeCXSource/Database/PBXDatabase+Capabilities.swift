// What the PBX's own database gives on this host, how fresh it is, and what to grant for the rest.

internal import Basics
package import CallModel
internal import Health

extension PBXDatabase {
  package func capabilities() async -> [Capability] {
    do throws(DatabaseFault) {
      return capabilities(try await check())
    } catch {
      let remedy = DatabaseCondition.of(error).remedy
      return ["call_history", "agent_status", "voicemail", "completeness"].map {
        Capability($0, .unavailable, source: "PBX database: \(error.description)", remedy: remedy)
      }
    }
  }

  private func capabilities(_ found: DatabaseFindings) -> [Capability] {
    let place = "PBX database by \(found.target), \(found.schema?.name ?? "")"
    func has(_ name: String, _ tables: [String], _ freshness: String) -> Capability {
      let missing = tables.filter { !found.readable.contains($0) }
      guard !missing.isEmpty else { return Capability(name, .available, source: "\(place); \(freshness)") }
      return Capability(
        name, .unavailable, source: place, remedy: "Grant SELECT on \(missing.joined(separator: ", ")) to the role.")
    }
    return [
      has("call_history", [], "as fresh as the PBX writes it"),
      has("completeness", [], "compared every minute"),
      has("agent_status", ["queue2dn", "dn", "extension"], "every 5 s"),
      has("voicemail", ["s_voicemail"], "every 5 s"),
    ]
  }

  /// For a host whose PBX has no API that we may use.
  package nonisolated static let withoutAPI = [
    "events", "originate", "hang_up", "blind_transfer", "divert", "route", "answer",
  ].map {
    Capability(
      $0, .unavailable, source: "no [threecx] url",
      remedy:
        "The Call Control API needs an Enterprise licence (8SC+); with one, make a client in Admin console → Integrations → API and set [threecx] url, client_id and client_secret_file."
    )
  }
}
