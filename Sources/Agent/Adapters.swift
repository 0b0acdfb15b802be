// Small joints between rooms that do not know each other.

internal import Admin
internal import Basics
internal import CallModel
internal import Glibc
internal import Hub
internal import Journal
internal import Log
internal import Loop
internal import Relay
internal import Store

/// The journal as the hub reads it.
final class JournalLog: EventLog {
  private let journal: Journal

  init(_ journal: Journal) { self.journal = journal }

  @LoopActor var head: Position { journal.head }
  @LoopActor var oldest: Position { journal.oldest }

  @LoopActor func page(after: Position, limit: Int) async -> [JournalEntry]? {
    do throws(JournalError) {
      return try await journal.entries(after: after, limit: limit)
    } catch {
      Log.error("the journal cannot be read", [.errorText: "\(error)"])
      return nil
    }
  }
}

/// The state store as the relay's memory of commands.
final class StoreLedger: CommandLedger {
  private let store: Store

  init(_ store: Store) { self.store = store }

  @LoopActor
  func begin(_ key: String, of caller: UUID, tenant: UUID, request: [UInt8]) async -> CommandLedgerOutcome {
    do {
      switch try await store.begin(key, of: caller, tenant: tenant, request: request) {
      case .new: return .new
      case .done(let status, let body): return .done(status: status, body: body)
      case .underWay: return .underWay
      case .mismatch: return .mismatch
      }
    } catch {
      Log.error("the state store failed", [.errorText: "\(error)"])
      return .unavailable
    }
  }

  @LoopActor
  func finish(_ key: String, of caller: UUID, tenant: UUID, status: Int?, body: [UInt8]) async {
    do {
      try await store.finish(key, of: caller, tenant: tenant, status: status, body: body)
    } catch {
      Log.error("the state store failed", [.errorText: "\(error)"])
    }
  }
}

/// This process as the kernel counts it.
enum SelfMeter {
  static func usage(since start: Moment) -> SelfUsage {
    var used = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
    let seconds = Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
    return SelfUsage(
      residentBytes: status("VmRSS:") << 10, cpuSeconds: seconds, threads: status("Threads:"),
      uptimeSeconds: (Moment.now() - start).seconds)
  }

  private static func status(_ name: String) -> Int {
    let lines = (try? Files.read("/proc/self/status", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let line = lines.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
  }
}
