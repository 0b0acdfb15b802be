// sidetone trace: one call from the PBX's messages to the events told of it; and sidetone status.

internal import Agent
internal import Basics
internal import JSON
internal import Loop

extension Sidetone {
  static let trace = Command(
    name: "trace", summary: "show one call: messages, events, times", usage: "trace CALL [--json] [--config FILE]",
    options: [.flag("json"), .value("config")]
  ) { arguments in
    let client = ControlClient(try AgentConfig.load(arguments))
    let trace = try await client.call("GET", "/admin/api/calls/\(try arguments.operand(0, "CALL"))/trace")
    if arguments.has("json") {
      printLines(trace["events"]?.array ?? [])
      printLines(trace["frames"]?.array ?? [])
      return Exit.ok
    }
    var lines = (trace["events"]?.array ?? []).map { ($0["time"]?.string ?? "", 1, "▶ " + EventPrinter.line($0)) }
    lines += (trace["frames"]?.array ?? []).map { frame in
      let text = (frame["text"]?.string ?? "").split(separator: "\n").map { "    " + $0 }.joined(separator: "\n")
      return (frame["at"]?.string ?? "", 0, "\(frame["at"]?.string ?? "")\n\(text)")
    }
    for line in lines.sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) { Files.print(line.2) }
    return Exit.ok
  }

  static let status = Command(
    name: "status", summary: "say how the running agent is", usage: "status [--json] [--config FILE]",
    options: [.flag("json"), .value("config")], takesOperands: false
  ) { arguments in
    let client = ControlClient(try AgentConfig.load(arguments))
    let health = try await client.call("GET", "/relay/health")
    let detail = try await client.call("GET", "/admin/api/health")
    if arguments.has("json") {
      printLines([detail])
    } else {
      Files.print(
        "\(health["status"]?.string ?? "?") since \(health["since"]?.string ?? "?"), version \(health["version"]?.string ?? "?")"
      )
      for link in health["links"]?.array ?? [] {
        Files.print(
          "  link \(link["name"]?.string ?? ""): \(link["state"]?.string ?? "") since \(link["since"]?.string ?? "")")
      }
      for condition in detail["conditions"]?.array ?? [] {
        Files.print(
          "  \(condition["title"]?.string ?? "") (\(condition["code"]?.string ?? ""), since \(condition["since"]?.string ?? ""))"
        )
        if let detail = condition["detail"]?.string { Files.print("    seen:   \(detail)") }
        Files.print("    remedy: \(condition["remedy"]?.string ?? "")")
      }
    }
    return switch health["status"]?.string {
    case "ok": Exit.ok
    case "degraded": Exit.warnings
    default: Exit.broken
    }
  }

  @LoopActor static func printLines(_ values: [JSONValue]) {
    for value in values {
      var out = JSONWriter()
      value.write(to: &out)
      Files.print(out.bytes + [10])
    }
  }
}
