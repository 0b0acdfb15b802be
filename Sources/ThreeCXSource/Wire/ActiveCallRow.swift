// A row of the XAPI's list of active calls, which has display texts for people.

package import JSON

package struct ActiveCallRow: Hashable, Sendable {
  package let id: Int64
  /// Display texts: the number stands before the first blank.
  package let caller: String
  package let callee: String
  package let status: String

  package init(id: Int64, caller: String, callee: String, status: String) {
    (self.id, self.caller, self.callee, self.status) = (id, caller, callee, status)
  }

  /// Nil where there is no id.
  package init?(_ json: JSONValue) {
    guard let id = json["Id"]?.int else { return nil }
    self.init(
      id: id, caller: json["Caller"]?.string ?? "", callee: json["Callee"]?.string ?? "",
      status: json["Status"]?.string ?? "")
  }
}
