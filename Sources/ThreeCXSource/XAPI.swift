// The part of 3CX's Configuration API that the agent reads. Only named fields are asked for, since a user object holds
// passwords; pages are of at most 100, beyond which a 3CX answers 400.

internal import Basics
internal import JSON
package import Loop

@LoopActor
package struct XAPI {
  private let client: ThreeCXClient

  package init(_ client: ThreeCXClient) { self.client = client }

  package struct SystemStatus: Sendable {
    package let version: String
    package let fqdn: String
    package let product: String
    package let isLicenseActive: Bool
  }

  package func systemStatus() async throws(ThreeCXFault) -> SystemStatus {
    let json = try await client.get("/xapi/v1/SystemStatus?$select=Version,FQDN,ProductCode,LicenseActive")
    return SystemStatus(
      version: json["Version"]?.string ?? client.version ?? "", fqdn: json["FQDN"]?.string ?? "",
      product: json["ProductCode"]?.string ?? "", isLicenseActive: json["LicenseActive"]?.bool ?? true)
  }

  package struct User: Sendable {
    package let number: String
    package let name: String
    package let isRegistered: Bool?
  }

  package func users() async throws(ThreeCXFault) -> [User] {
    try await all("Users", "Number,DisplayName,IsRegistered").compactMap { json in
      guard let number = json["Number"]?.string else { return nil }
      return User(number: number, name: json["DisplayName"]?.string ?? "", isRegistered: json["IsRegistered"]?.bool)
    }
  }

  /// What each number of the PBX is. Where the role may not list the peers, the queues alone.
  package func kinds() async throws(ThreeCXFault) -> [String: PartyKind] {
    do throws(ThreeCXFault) {
      let peers = try await all("Peers", "Number,Type").compactMap { json in
        json["Number"]?.string.map { ($0, PartyKind(json["Type"]?.string)) }
      }
      return Dictionary(peers) { first, _ in first }
    } catch {
      guard case .status = error else { throw error }
      let queues = try await all("Queues", "Number").compactMap { $0["Number"]?.string }
      return Dictionary(queues.map { ($0, .queue) }) { first, _ in first }
    }
  }

  package struct Trunk: Sendable {
    package let number: String
    package let isOnline: Bool?
    /// In 3CX's words, of which nothing is known but that there is something to mend.
    package let issue: String
  }

  package func trunks() async throws(ThreeCXFault) -> [Trunk] {
    try await all("Trunks", "Number,IsOnline,ConfigurationIssue").compactMap { json in
      guard let number = json["Number"]?.string else { return nil }
      return Trunk(
        number: number, isOnline: json["IsOnline"]?.bool, issue: json["ConfigurationIssue"]?.string ?? "")
    }
  }

  package func activeCalls() async throws(ThreeCXFault) -> [ActiveCallRow] {
    try await all("ActiveCalls", "Id,Caller,Callee,Status").compactMap { ActiveCallRow($0) }
  }

  private static let pageSize = 100
  /// Rows of one list at most.
  private static let listLimit = 5000

  private func all(_ entity: String, _ fields: String) async throws(ThreeCXFault) -> [JSONValue] {
    var rows: [JSONValue] = []
    while rows.count < Self.listLimit {
      let page = try await client.get("/xapi/v1/\(entity)?$select=\(fields)&$top=\(Self.pageSize)&$skip=\(rows.count)")
      guard let more = page["value"]?.array else { throw .garbage("\(entity) is no list") }
      rows += more
      // A server that gives smaller pages than asked says where the next one is.
      if more.isEmpty || more.count < Self.pageSize && page["@odata.nextLink"]?.string == nil { break }
    }
    return rows
  }
}
