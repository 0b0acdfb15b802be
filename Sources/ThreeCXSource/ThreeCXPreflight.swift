// Looks at everything that the agent needs of a 3CX, one after the other, and says of each what to do about it.

internal import Basics
internal import CallModel
internal import HTTPClient
internal import Health
internal import JSON
internal import Log
package import Loop

@LoopActor
package struct ThreeCXPreflight {
  package struct Finding: Sendable {
    package enum Verdict: String, Sendable { case ok, warning, broken }

    package let verdict: Verdict
    package let subject: String
    package let text: String
    package let remedy: String?
  }

  private let config: ThreeCXConfig
  private let database: ThreeCXDatabaseConfig

  package init(_ config: ThreeCXConfig, _ database: ThreeCXDatabaseConfig) {
    (self.config, self.database) = (config, database)
  }

  package func run() async -> [Finding] {
    var findings: [Finding] = []
    if config.isOn { findings += await checkAPIs() }
    if database.isOn { findings += await checkDatabase() }
    return findings
  }

  private static func ok(_ subject: String, _ text: String) -> Finding {
    Finding(verdict: .ok, subject: subject, text: text, remedy: nil)
  }

  private static func fault(_ subject: String, _ condition: Condition, _ detail: String) -> Finding {
    Finding(
      verdict: condition.severity == .failure ? .broken : .warning, subject: subject,
      text: "\(condition.title): \(detail)", remedy: condition.remedy)
  }

  // MARK: The APIs

  private func checkAPIs() async -> [Finding] {
    do {
      let client = try ThreeCXClient(config)
      return try await check(client)
    } catch let failure as ClientFailure {
      return [Self.fault("3cx", ThreeCXCondition.noLibrary, failure.description)]
    } catch {
      let fault = error as? ThreeCXFault ?? .garbage("\(error)")
      return [Self.fault("3cx", ThreeCXCondition.of(fault), fault.description)]
    }
  }

  private func check(_ client: ThreeCXClient) async throws(ThreeCXFault) -> [Finding] {
    _ = try await client.broker.token()
    var findings = [Self.ok("3cx token", "given out by \(config.url)")]
    findings.append(clock(client.broker.clockOffset))
    let (monitored, live) = await checkCallControl(client)
    findings.append(live)
    findings += await checkXAPI(client, monitored)
    return findings
  }

  private func clock(_ offset: Double?) -> Finding {
    guard let offset else { return Self.ok("3cx clock", "the PBX does not say its time") }
    guard abs(offset) > 5 else { return Self.ok("3cx clock", "agrees within 5 s") }
    return Finding(
      verdict: abs(offset) > 60 ? .broken : .warning, subject: "3cx clock",
      text: "\(ThreeCXCondition.clock.title): by \(Int(abs(offset))) s", remedy: ThreeCXCondition.clock.remedy)
  }

  private func checkCallControl(_ client: ThreeCXClient) async -> (monitored: Set<String>?, Finding) {
    do throws(ThreeCXFault) {
      let states = (try await client.get("/callcontrol").array ?? []).compactMap { DNState($0) }
      let people = states.filter { $0.kind == .person }.map(\.dn)
      guard !people.isEmpty else {
        return (
          [],
          Finding(
            verdict: .warning, subject: "3cx call control", text: "no extension may be seen",
            remedy: "List the extensions to monitor for the client in Admin console → Integrations → API.")
        )
      }
      return (Set(people), Self.ok("3cx call control", "\(people.count) extensions may be seen"))
    } catch {
      return (nil, Self.fault("3cx call control", ThreeCXCondition.of(error), error.description))
    }
  }

  private func checkXAPI(_ client: ThreeCXClient, _ monitored: Set<String>?) async -> [Finding] {
    let xapi = XAPI(client)
    do throws(ThreeCXFault) {
      let status = try await xapi.systemStatus()
      var findings = [
        Self.ok("3cx xapi", "version \(status.version), \(status.product), \(status.fqdn)")
      ]
      if !status.isLicenseActive {
        findings.append(
          Finding(
            verdict: .warning, subject: "3cx licence", text: "the licence is not active",
            remedy: "Renew it: without an Enterprise licence the APIs are switched off."))
      }
      if let monitored { findings.append(unseen(try await xapi.users(), monitored)) }
      if let trunks = try? await xapi.trunks() { findings.append(offline(trunks)) }
      return findings
    } catch {
      if case .status(403, _, _) = error {
        let condition = ThreeCXCondition.forbidden
        return [
          Finding(
            verdict: .broken, subject: "3cx xapi", text: "\(condition.title): \(error.description)",
            remedy: condition.remedy)
        ]
      }
      let remedy = "Tick “XAPI access” for the client in Admin console → Integrations → API."
      return [Finding(verdict: .warning, subject: "3cx xapi", text: error.description, remedy: remedy)]
    }
  }

  private func offline(_ trunks: [XAPI.Trunk]) -> Finding {
    let faulty = trunks.filter { $0.isOnline == false || !$0.issue.isEmpty }
    guard !faulty.isEmpty else { return Self.ok("3cx trunks", "\(trunks.count), none with a fault") }
    let shown = faulty.prefix(20).map {
      $0.issue.isEmpty ? "\($0.number) is not registered" : "\($0.number): \($0.issue)"
    }
    return Finding(
      verdict: .warning, subject: "3cx trunks", text: shown.joined(separator: ", "),
      remedy: "Look at Voice & chat in the Admin console; calls by these trunks do not come or go.")
  }

  private func unseen(_ users: [XAPI.User], _ monitored: Set<String>) -> Finding {
    let missing = users.map(\.number).filter { !monitored.contains($0) }.sorted()
    guard !missing.isEmpty else { return Self.ok("3cx extensions", "all \(users.count) may be seen") }
    let shown = missing.prefix(20).joined(separator: ", ") + (missing.count > 20 ? ", …" : "")
    return Finding(
      verdict: .warning, subject: "3cx extensions", text: "\(missing.count) are not monitored: \(shown)",
      remedy: "List them for the client in Admin console → Integrations → API; their calls are not told of.")
  }

  // MARK: The database

  private func checkDatabase() async -> [Finding] {
    var findings: [Finding] = []
    let (ini, place, fault) = database.readINI()
    if let place, ini != nil {
      findings.append(Self.ok("3cx ini", "\(place) can be read"))
    } else if let fault, database.url == nil {
      findings.append(
        Finding(
          verdict: .warning, subject: "3cx ini", text: fault,
          remedy: "Add the agent's user to group phonesystem, set [threecx] ini_path, or set database_url."))
    }
    let reader = PBXDatabase(database, health: HealthBoard(), region: nil)
    do throws(DatabaseFault) {
      let found = try await reader.check()
      findings.append(
        Self.ok("3cx database", "by \(found.target), PostgreSQL \(found.version), \(found.schema?.name ?? "")"))
      findings += privileges(found)
    } catch {
      let remedy = DatabaseCondition.of(error)
      findings.append(
        Finding(
          verdict: .broken, subject: "3cx database", text: "\(remedy.title): \(error.description)",
          remedy: remedy.remedy))
    }
    reader.stop()
    return findings
  }

  private func privileges(_ found: DatabaseFindings) -> [Finding] {
    let needs = [("voicemail", ["s_voicemail"]), ("agent status", ["queue", "queue2dn", "dn", "extension"])]
    return needs.map { feature, tables in
      let missing = tables.filter { !found.readable.contains($0) }
      guard !missing.isEmpty else { return Self.ok("3cx \(feature)", "can be read") }
      return Finding(
        verdict: .warning, subject: "3cx \(feature)", text: "not readable: \(missing.joined(separator: ", "))",
        remedy: "Grant SELECT on \(missing.joined(separator: ", ")) to the role, or use one that may read them.")
    }
  }
}
