// sidetone reconcile: compares what was heard with what the PBX recorded, and repairs.

internal import Basics
internal import JSON

extension Sidetone {
  static let reconcile = Command(
    name: "reconcile", summary: "compare what was heard with the PBX's own records, and repair the journal",
    usage: "reconcile [--hour] [--json] [--config FILE]", options: [.flag("hour"), .flag("json"), .value("config")],
    takesOperands: false
  ) { arguments in
    let desk = try StateDesk(arguments)
    let report = try await desk.ask("POST", "/relay/reconcile?seconds=\(arguments.has("hour") ? 3600 : 900)")
    if arguments.has("json") {
      desk.show(report)
      return Exit.ok
    }
    let (missing, differing) = (report["missing"]?.array ?? [], report["differing"]?.array ?? [])
    for call in missing { Files.print("missed    \(call.string ?? "")") }
    for one in differing {
      let fields = (one["differences"]?.array ?? []).map { difference in
        "\(difference.said("field")): heard \(difference.said("heard")), recorded \(difference.said("recorded"))"
      }
      Files.print("completed \(one.said("call"))  \(fields.joined(separator: "; "))")
    }
    Files.print("\(report.said("recorded")) recorded, \(missing.count) missed, \(differing.count) completed")
    return Exit.ok
  }
}
