// What the relay does behind its routes: finds calls, carries commands once, and knows its clients.

package import Basics
package import CallModel
internal import Crypto
package import HTTP
package import Hub
internal import JSON
package import Loop

/// Keeps what became of a command that was sent with an Idempotency-Key.
package protocol CommandLedger: Sendable {
  /// What is known of this request; notes it as under way when nothing is.
  @LoopActor func begin(_ key: String, of caller: UUID, tenant: UUID, request: [UInt8]) async -> CommandLedgerOutcome
  @LoopActor func finish(_ key: String, of caller: UUID, tenant: UUID, status: Int?, body: [UInt8]) async
}

package enum CommandLedgerOutcome: Sendable {
  case new
  case done(status: Int, body: [UInt8])
  case underWay
  case mismatch
  case unavailable
}

@LoopActor
package final class RelayService {
  package let hub: Hub
  package let config: RelayConfig
  private let commands: (any CallCommands)?
  private let ledger: any CommandLedger
  /// Whether the journal takes entries: while it does not, nothing is done that could not be told.
  /// A call as the PBX has it now, which may be more than was told of it; nil when it is not known.
  package var present: @LoopActor (CallID) -> Call? = { _ in nil }
  package var isJournalWritable: @LoopActor () -> Bool = { true }

  private var sockets: [ObjectIdentifier: RelaySocket] = [:]
  private var streams: [ObjectIdentifier: RelayEventStream] = [:]
  private var isSweeping = false
  private var placedCalls: [CallID: (tenant: UUID, at: Moment)] = [:]
  /// Longer than any `timeout_secs`.
  private static let ringsAtMost: Duration = .seconds(330)
  private static let firstEventWithin: Duration = .seconds(2)

  package init(hub: Hub, config: RelayConfig, commands: (any CallCommands)?, ledger: any CommandLedger) {
    (self.hub, self.config, self.commands, self.ledger) = (hub, config, commands, ledger)
  }

  package var clientCount: Int { sockets.count + streams.count }

  // MARK: Clients

  func add(_ socket: RelaySocket) {
    sockets[ObjectIdentifier(socket)] = socket
    let key = ObjectIdentifier(socket)
    socket.onEnd = { [unowned self] _, _ in sockets[key] = nil }
    sweepSoon()
  }

  func add(_ stream: RelayEventStream) {
    streams[ObjectIdentifier(stream)] = stream
    let key = ObjectIdentifier(stream)
    stream.onEnd = { [unowned self] in streams[key] = nil }
    sweepSoon()
  }

  private func sweepSoon() {
    guard !isSweeping else { return }
    isSweeping = true
    LoopActor.loop.after(.seconds(1)) { [weak self] in
      guard let self else { return }
      isSweeping = false
      let now = Moment.now()
      for socket in sockets.values { socket.keepAlive(at: now) }
      for stream in streams.values { stream.keepAlive(at: now) }
      if clientCount > 0 { sweepSoon() }
    }
  }

  /// Ends every connection that was opened with this credential.
  package func revoke(_ owner: UUID) {
    for socket in sockets.values where socket.owners.contains(owner) {
      socket.close(1008, "the credential was revoked")
    }
    for stream in streams.values where stream.owners.contains(owner) { stream.close() }
  }

  /// Says goodbye to everybody, some hundred at a time.
  package func drain() {
    for socket in sockets.values { socket.close(1001, "the agent is going away; resume when it is back") }
    for stream in streams.values { stream.close() }
  }

  // MARK: Commands

  /// Finds an open call of this tenant.
  func call(_ text: String?, of caller: Caller) throws(APIError) -> Call {
    guard let id = text.flatMap({ UUID($0) }), let entry = hub.activeCall(CallID(id)),
      entry.tenant.uuid == caller.tenant, let call = present(CallID(id)) ?? entry.parsedCall
    else { throw .notFound("call") }
    return call
  }

  /// Remembers a call that was just placed: its first event may take a moment.
  func placed(_ id: CallID, by caller: Caller) {
    let now = Moment.now()
    placedCalls = placedCalls.filter { now - $0.value.at < Self.ringsAtMost }
    placedCalls[id] = (caller.tenant, now)
  }

  /// As `call`; for one that was just placed, once the PBX shows it, even if there is nothing to tell of it yet.
  func placedCall(_ text: String?, of caller: Caller) async throws(APIError) -> Call {
    while let id = text.flatMap({ UUID($0) }).map(CallID.init), hub.activeCall(id) == nil,
      let placed = placedCalls[id], placed.tenant == caller.tenant
    {
      if let call = present(id) { return call }
      guard Moment.now() - placed.at < Self.firstEventWithin else { break }
      await LoopActor.loop.sleep(for: .milliseconds(20))
    }
    return try call(text, of: caller)
  }

  func commandPort() throws(APIError) -> any CallCommands {
    guard isJournalWritable() else {
      throw .unavailable(
        "journal-not-writable", "The journal cannot write, so no command is carried out.", retryAfter: 5)
    }
    guard let commands else {
      throw .unavailable("no-pbx", "No PBX is configured; see `sidetone check`.", retryAfter: 60)
    }
    return commands
  }

  /// What works beside the link: the PBX's own records, say.
  package var furtherCapabilities: @LoopActor @Sendable () async -> [Capability] = { [] }

  package func capabilities() async -> [Capability] {
    (await commands?.capabilities() ?? []) + (await furtherCapabilities())
  }

  /// Does `body` once for each Idempotency-Key, over restarts.
  package func once(
    _ context: RequestContext, _ caller: Caller, _ body: () async throws(APIError) -> HTTPResponse
  ) async throws(APIError) -> HTTPResponse {
    guard let key = context.request.header("idempotency-key") else { return try await body() }
    guard !key.isEmpty, key.utf8.count <= 200 else { throw .badField("Idempotency-Key", "between 1 and 200 bytes") }
    let owner = caller.id ?? caller.tenant
    let request = Digest.sha256(
      Array((context.request.method + " " + context.request.path + "\n").utf8) + context.request.body)
    switch await ledger.begin(key, of: owner, tenant: caller.tenant, request: request) {
    case .new: return try await first(key, owner, caller.tenant, body)
    case .done(let status, let body):
      var response = HTTPResponse(status: status, contentType: "application/json", body: body)
      response.headers.append(("Idempotent-Replayed", "true"))
      return response
    case .underWay:
      throw APIError(
        409, "request-under-way",
        "A request with this Idempotency-Key is under way, or its outcome was lost in a restart.")
    case .mismatch: throw APIError(422, "idempotency-mismatch", "This Idempotency-Key was used for another request.")
    case .unavailable: throw .unavailable("state-unavailable", "The state store cannot be used now.", retryAfter: 5)
    }
  }

  private func first(
    _ key: String, _ owner: UUID, _ tenant: UUID, _ body: () async throws(APIError) -> HTTPResponse
  ) async throws(APIError) -> HTTPResponse {
    do throws(APIError) {
      let response = try await body()
      await ledger.finish(key, of: owner, tenant: tenant, status: response.status, body: response.body)
      return response
    } catch {
      // What may have been done is never done again under the same key.
      if error.status != 504 { await ledger.finish(key, of: owner, tenant: tenant, status: nil, body: []) }
      throw error
    }
  }
}
