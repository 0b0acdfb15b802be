// What the agent lends to the administrator's pages.

internal import Admin
internal import Basics
internal import CallModel
internal import HTTP
internal import JSON
internal import Journal
internal import Loop
internal import Metrics
internal import Relay
internal import SourceKit

@LoopActor
struct AdminDesk {
  let config: AgentConfig
  let journal: Journal
  let metrics: MetricRegistry
  let relay: RelayRoutes
  let source: @LoopActor @Sendable () -> (any PBXSource)?
  let applyRetention: @LoopActor @Sendable () async -> Int?
  let startedAt: Moment

  var ports: AdminPorts {
    AdminPorts(
      usage: { [startedAt] in SelfMeter.usage(since: startedAt) }, reconnect: { link in reconnect(link) },
      figures: figures,
      prune: prune, losses: losses, hour: hour, history: history, trace: trace, settings: config.settings,
      version: Agent.version, counters: { [metrics] in metrics.values })
  }

  private func reconnect(_ link: String) -> Bool {
    guard let source = source(), source.name == link else { return false }
    source.reconnect()
    return true
  }

  @Sendable private func figures() async -> JournalFigures? {
    let found = try? await journal.figures(
      olderThanDays: config.retentionDays, largerThanMiB: config.retentionMiB)
    guard let found else { return nil }
    return JournalFigures(
      head: journal.head.value, oldest: journal.oldest.value, bytes: found.bytes, openCalls: found.openCalls,
      retentionDays: config.retentionDays, retentionMiB: config.retentionMiB, prunable: found.prunable)
  }

  @Sendable private func prune() async -> Int? {
    guard journal.isWritable else { return nil }
    return await applyRetention()
  }

  @Sendable private func losses(_ json: inout JSONWriter) async {
    let losses = (try? await journal.losses()) ?? []
    json.array { json in
      for loss in losses {
        json.object { json in
          json.field("at", loss.at)
          json.field("reason", loss.reason)
          json.field("count", loss.count)
          json.field("detail", loss.detail)
          json.key("events")
          json.array { json in for id in loss.events.prefix(1000) { json.value(id.description) } }
        }
      }
    }
  }

  @Sendable private func hour(_ tenant: UUID, _ from: Timestamp) async -> HourOfCalls? {
    guard let found = try? await journal.hour(of: TenantID(tenant), from: from) else { return nil }
    var hour = HourOfCalls(start: from)
    (hour.total, hour.answered, hour.waits) = found
    return hour
  }

  @Sendable private func history(_ context: RequestContext) async throws(APIError) -> [[UInt8]] {
    let query = try relay.historyQuery(context)
    guard let rows = try? await journal.history(query) else {
      throw .unavailable("journal-unreadable", "The journal cannot be read now.", retryAfter: 5)
    }
    return rows
  }

  // MARK: Trace

  @Sendable private func trace(_ call: UUID, _ tenant: UUID) async -> HTTPResponse? {
    guard let entries = try? await journal.entries(of: CallID(call)), let last = entries.last,
      last.tenant.uuid == tenant
    else { return nil }
    let messages = source()?.messages(naming: Self.channelNames(last)) ?? []
    return .json { json in
      json.object { json in
        json.key("events")
        json.array { json in for entry in entries { entry.writeNative(to: &json) } }
        json.key("frames")
        json.array { json in
          for message in messages {
            json.object { json in
              json.field("at", message.at)
              json.field("text", message.text)
            }
          }
        }
      }
    }
  }

  private static func channelNames(_ entry: JournalEntry) -> Set<String> {
    guard let call = entry.parsedCall else { return [] }
    return Set(call.legs.map(\.id) + [call.externalIDs["linkedid"]].compactMap(\.self))
  }
}
