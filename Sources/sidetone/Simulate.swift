internal import Loop

extension Sidetone {
  static let simulate = Command(name: "simulate", summary: "be a PBX", usage: "simulate", options: []) { _ in Exit.ok }
}
