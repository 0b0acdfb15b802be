// The PBX's own database as the agent reads it: connects when asked, keeps trying, says on the health board what is
// wrong, and answers a bounded number of questions at a time.

internal import Basics
package import CallModel
package import Health
internal import Log
package import Loop
internal import Postgres

@LoopActor
package final class PBXDatabase {
  private let config: ThreeCXDatabaseConfig
  private let health: HealthBoard
  private let worker: Worker
  private let session = DatabaseSession()
  let region: PhoneRegion?
  private let turn = Turn()
  private var waiting = 0
  private var nextTry = Moment(nanoseconds: 0)
  private var lastFault: DatabaseFault?
  package private(set) var findings: DatabaseFindings?

  static let link = "3cx-database"
  /// Questions that wait; more are refused.
  private static let limit = 16
  private static let pause: Duration = .seconds(2)

  package init(_ config: ThreeCXDatabaseConfig, health: HealthBoard, region: PhoneRegion?) {
    (self.config, self.health, self.region) = (config, health, region)
    worker = Worker(name: "pbx-db", share: .background)
  }

  package func stop() {
    worker.post { [session] in session.close() }
    worker.stop()
  }

  // MARK: Asking

  /// Connects if need be and runs `body` on the database's thread.
  func ask<T: Sendable>(
    _ body: @escaping @Sendable (DatabaseSession, CDRSchema) throws(PostgresError) -> T
  ) async throws(DatabaseFault) -> T {
    guard waiting < Self.limit else {
      throw DatabaseFault(kind: .failed, description: "\(Self.limit) questions wait already")
    }
    waiting += 1
    await turn.begin()
    defer {
      turn.end()
      waiting -= 1
    }
    let schema = try await connected()
    let session = session
    do throws(PostgresError) {
      return try await worker.run { () throws(PostgresError) in try body(session, schema) }
    } catch {
      let fault = DatabaseFault(kind: .failed, description: error.description)
      if case .unavailable = error { failed(fault) }
      throw fault
    }
  }

  /// Runs what may block for the disk on the database's thread.
  func onThread<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await worker.run { () throws(Never) in body() }
  }

  /// Makes the connection now, for whoever wants to know whether it works.
  package func check() async throws(DatabaseFault) -> DatabaseFindings {
    nextTry = Moment(nanoseconds: 0)
    _ = try await ask { _, _ throws(PostgresError) in true }
    return findings ?? DatabaseFindings()
  }

  /// Whether the server itself would refuse a write on this connection: a table is tried to be made.
  package func isReadOnly() async throws(DatabaseFault) -> Bool {
    try await ask { session, _ throws(PostgresError) in
      do throws(PostgresError) {
        _ = try session.rows("CREATE TEMPORARY TABLE sidetone_probe (x int)")
        return false
      } catch {
        // 25006, which the platform room takes for a server that another has taken over from.
        if case .unavailable(let text) = error, text.contains("read-only") { return true }
        throw error
      }
    }
  }

  private func connected() async throws(DatabaseFault) -> CDRSchema {
    if session.isConnected, let schema = findings?.schema { return schema }
    if let lastFault, Moment.now() < nextTry { throw lastFault }
    let (ini, place, _) = config.readINI()
    let beside = place.map { $0.split(separator: "/").dropLast().joined(separator: "/") }
    let json = beside.flatMap { try? Files.read("/\($0)/config.json", limit: 1 << 20) }
    let targets = DatabaseTarget.all(config, ini: ini, configJSON: json)
    let session = session
    do throws(DatabaseFault) {
      let found = try await worker.run { () throws(DatabaseFault) in try session.connect(targets) }
      findings = found
      guard let schema = found.schema else { throw refusal(found) }
      cameUp(found)
      return schema
    } catch {
      failed(error)
      throw error
    }
  }

  private func refusal(_ found: DatabaseFindings) -> DatabaseFault {
    let reason = found.schemaFault ?? "unknown"
    let isForbidden = reason.contains("may not read")
    return DatabaseFault(kind: isForbidden ? .noPrivilege : .unknownSchema, description: reason)
  }

  private func cameUp(_ found: DatabaseFindings) {
    lastFault = nil
    for condition in DatabaseCondition.all { health.clear(condition, on: Self.link) }
    health.setLink(Self.link, .up)
    Log.info("the PBX's database can be read", [.sourceName: found.target])
  }

  private func failed(_ fault: DatabaseFault) {
    (lastFault, nextTry) = (fault, Moment.now() + Self.pause)
    let condition = DatabaseCondition.of(fault)
    for other in DatabaseCondition.all where other.code != condition.code { health.clear(other, on: Self.link) }
    health.raise(condition, on: Self.link, detail: fault.description)
    health.setLink(Self.link, .connecting, code: condition.code)
  }
}
