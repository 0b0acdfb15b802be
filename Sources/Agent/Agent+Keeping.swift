// What is done while it runs: gauges, watchdog, retention, and the configuration read again.

internal import Basics
internal import CSystemd
internal import Health
internal import Identity
internal import Log
internal import Loop
internal import Metrics
internal import Normaliser
internal import Relay

@LoopActor
extension Agent {
  /// Retention, the watchdog and the gauges: little, often.
  func keepHouse() {
    let clients = metrics.gauge("sidetone_clients", "Clients that are subscribed to events")
    let legs = metrics.gauge("sidetone_legs", "Channels of the PBX that are being followed")
    let turn = metrics.gauge(
      "sidetone_loop_turn_microseconds", "Longest turn of the event loop in the last ten seconds")
    var round = 0
    @LoopActor func tick() {
      LoopActor.loop.after(.seconds(10)) { [weak self] in
        guard let self, exitCode == nil else { return }
        clients.set(relay?.clientCount ?? 0)
        legs.set(pipeline?.board.legCount ?? 0)
        let longest = LoopActor.loop.takeLongestTurn()
        turn.set(Int(longest.nanoseconds / 1000))
        if longest > .milliseconds(100) {
          health.raise(AgentCondition.slowLoop)
        } else {
          health.clear(AgentCondition.slowLoop)
        }
        sd_notify(0, "WATCHDOG=1\nSTATUS=\(health.status)")
        round += 1
        if round % 6 == 1 {
          prune()
          LoopActor.begin { [self] in await identity?.keys.saveUses() }
        }
        tick()
      }
    }
    tick()
  }

  private func prune() {
    LoopActor.begin { [self] in
      // Ends when nothing is left to remove; slices let appends through.
      let gone = await applyRetention()
      if let gone, gone > 0 { Log.info("retention removed entries", [.count: String(gone)]) }
    }
  }

  func applyRetention() async -> Int? {
    await upstream?.prune(days: config.retentionDays, mebibytes: config.retentionMiB)
  }

  /// Reads the configuration anew. What can be changed while it runs is changed; the rest is named. A configuration
  /// with faults changes nothing.
  func reload() {
    sd_notify(0, "RELOADING=1")
    defer { sd_notify(0, "READY=1\nSTATUS=\(health.status)") }
    do {
      let fresh = try readAgain()
      Log.configure(level: fresh.logLevel, format: fresh.logFormat)
      (config.logLevel, config.logFormat) = (fresh.logLevel, fresh.logFormat)
      (config.retentionDays, config.retentionMiB) = (fresh.retentionDays, fresh.retentionMiB)
      let changed = fresh.settings.filter { setting in
        !Self.reloadable.contains(setting.name)
          && !config.settings.contains { $0.name == setting.name && $0.value == setting.value }
      }.map(\.name)
      if changed.isEmpty {
        Log.notice("the configuration was read again")
      } else {
        Log.warning(
          "the configuration was read again; these keys count after a restart",
          [.setting: changed.joined(separator: ", ")])
      }
      health.clear(AgentCondition.configInvalid)
    } catch {
      Log.error("the configuration has faults; the one before goes on", [.errorText: "\(error)"])
      health.raise(AgentCondition.configInvalid, detail: "\(error)")
    }
  }

  private static let reloadable: Set<String> = [
    "[log] level", "[log] format", "[journal] retention_days", "[journal] retention_mib",
  ]
}
