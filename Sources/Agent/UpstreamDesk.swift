// Joins the destinations to the journal they read, the state that keeps their progress and the routes that rule them.

internal import Basics
internal import CallModel
internal import HTTP
internal import Health
internal import Hub
internal import Identity
internal import Journal
internal import Log
internal import Loop
internal import Metrics
internal import Normaliser
internal import Relay
internal import SinkKit
internal import Store
internal import Upstream
internal import WebhookSink

/// The journal, and what the hub has of it in memory, as destinations read it.
@LoopActor
final class JournalFeed: EventFeed {
  private let journal: Journal
  private let hub: Hub

  init(_ journal: Journal, _ hub: Hub) { (self.journal, self.hub) = (journal, hub) }

  var id: UUID { journal.id }
  var head: Position { hub.head }

  func recentPage(after: Position, limit: Int) -> [JournalEntry]? {
    hub.recentPage(after: after, limit: limit)?.map(\.entry)
  }

  func page(after: Position, limit: Int) async -> [JournalEntry]? {
    await hub.page(after: after, limit: limit)?.map(\.entry)
  }

  func entries(at positions: [Position]) async -> [JournalEntry]? { try? await journal.entries(at: positions) }
}

@LoopActor
final class UpstreamDesk {
  let destinations: Destinations
  private let journal: Journal
  private let catalogue: SinkCatalogue
  private let health: HealthBoard

  init(
    config: SinksConfig, secret: ServerSecret, journal: Journal, hub: Hub, store: Store, health: HealthBoard,
    metrics: MetricRegistry, pipeline: Pipeline, isSending: Bool, isShared: Bool
  ) {
    (self.journal, self.health) = (journal, health)
    let catalogue = SinkCatalogue(config, secret: secret)
    self.catalogue = catalogue
    let book = SettlementBook(DestinationStore(store, journal: journal.id), health: health)
    var tools = CourierTools(
      feed: JournalFeed(journal, hub), book: book, health: health, timings: DeliveryTimings(metrics),
      makeSink: { [catalogue] in try catalogue.make($0) })
    tools.isShared = isShared
    (tools.isSending, tools.heartbeat) = (isSending, config.upstream.heartbeat)
    tools.logLimit = Int64(config.upstream.logLimit)
    destinations = Destinations(
      tools: tools, declared: config.records,
      oldest: { [unowned journal] in journal.oldest },
      tellHeartbeat: { [unowned pipeline] in pipeline.tell([.heartbeat(from: pipeline.board.source)]) })
    pipeline.onPublished = { [destinations] in destinations.poke() }
  }

  func routes(relay: RelayService, audit: AuditLog, config: SinksConfig) -> UpstreamRoutes {
    UpstreamRoutes(
      destinations: destinations,
      ports: UpstreamPorts(
        position: { [journal] time in try? await journal.position(keptAt: time) },
        positions: { [journal] events in try? await journal.positions(of: events) },
        head: { [journal] in journal.head },
        noteLoss: { [journal] detail, count, events in
          try? await journal.record(loss: "operator", count: count, detail: detail, events: events)
        }, secret: { [catalogue] in catalogue.shownSecret(of: $0) },
        addressFault: { url in WebhookAddress.fault(in: url, policy: config.webhook.policy) },
        once: { [unowned relay] context, caller, body async throws(APIError) in
          try await relay.once(context, caller, body)
        },
        audit: { note, tenant in
          // The change stands already; a state that fails now is on the health board.
          try? await audit.append(note, of: tenant)
        }))
  }

  /// Applies retention, which spares what a destination has not had for as long as the size allows.
  func prune(days: Int, mebibytes: Int) async -> Int? {
    // Who has not had what is not known yet: nothing goes.
    guard destinations.isLoaded else { return nil }
    let claims = destinations.claims.map { claim in
      RetentionClaim(name: claim.name, tenant: TenantID(claim.tenant), from: claim.from) {
        claim.filter.matches(type: $0)
      }
    }
    let gone = try? await journal.prune(olderThanDays: days, largerThanMiB: mebibytes, claims: claims)
    // What fails now is found again by the next round.
    try? await destinations.forgetAside(before: journal.oldest) { [journal] name, events in
      try await journal.record(
        loss: "retention", count: events.count, detail: "set aside for \(name), and never delivered", events: events)
    }
    if claims.contains(where: { $0.from < journal.oldest }) {
      health.raise(AgentCondition.undeliveredLost)
    } else {
      health.clear(AgentCondition.undeliveredLost)
    }
    return gone
  }
}

extension CallEvent {
  /// A sign of life for the destinations, through the journal as everything is.
  static func heartbeat(from source: String) -> CallEvent {
    let now = Timestamp.now()
    let id = UUID(
      milliseconds: now.milliseconds, digest: (UInt64.random(in: 0...(.max)), UInt64.random(in: 0...(.max))))
    return CallEvent(id: EventID(id), source: source, tenant: .agent, occurredAt: now, kind: .heartbeat, call: nil)
  }
}
