// sidetone audit, prune: what was done, and what is kept.

internal import Basics
internal import JSON
internal import Loop

extension Sidetone {
  static let audit = Command(
    name: "audit", summary: "list who did what, or verify that nobody changed the list",
    usage: "audit list [--json] | verify  [--tenant NAME] [--config FILE]",
    options: [.flag("json"), .value("tenant"), .value("config")]
  ) { arguments in
    let desk = try StateDesk(arguments)
    switch try arguments.operand(0, "list or verify") {
    case "list":
      let found = try await desk.ask("GET", "/admin/api/audit?limit=500")
      desk.list(found["data"]?.array ?? [], isJSON: arguments.has("json")) { entry in
        ["number", "at", "actor", "action", "target", "address", "detail"].map { entry.said($0) }.joined(
          separator: "  ")
      }
    case "verify":
      let verdict = try await desk.ask("GET", "/admin/api/audit/verify")
      if arguments.has("json") { desk.show(verdict) }
      guard verdict["whole"]?.bool == true else {
        Files.print("broken at entry \(verdict.said("broken_at")): it does not follow from the one before", to: 2)
        return Exit.broken
      }
      Files.print("whole: \(verdict.said("entries")) entries, each follows from the one before", to: 2)
    default: throw UsageError(description: "expected list or verify")
    }
    return Exit.ok
  }

  static let prune = Command(
    name: "prune", summary: "apply retention to the journal now, or say what would go",
    usage: "prune [--dry-run] [--json] [--config FILE]", options: [.flag("dry-run"), .flag("json"), .value("config")],
    takesOperands: false
  ) { arguments in
    let desk = try StateDesk(arguments)
    let answer =
      arguments.has("dry-run")
      ? try await desk.ask("GET", "/admin/api/retention") : try await desk.ask("POST", "/admin/api/retention/prune")
    if arguments.has("json") {
      desk.show(answer)
    } else if arguments.has("dry-run") {
      Files.print("\(answer.said("prunable")) entries would go")
    } else {
      Files.print("\(answer.said("removed")) entries removed")
    }
    return Exit.ok
  }
}
