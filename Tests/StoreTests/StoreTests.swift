import Basics
import Loop
import Postgres
import SQLite
import Store
import TestSupport
import Testing

@Suite(.serialized) struct StoreTests {
  init() { _ = LoopThread.isRunning }

  private static let tenant = UUID(high: 0x8000, low: 0x8000_0000_0000_0001)
  private static let caller = UUID(high: 3, low: 3)

  @Test(arguments: Engine.allCases) @LoopActor
  func aRequestIsRememberedOverARestart(_ engine: Engine) async throws {
    let place = try engine.makePlace()
    do {
      let store = try await Store.open(place)
      #expect(try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [1]) == .new)
      #expect(try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [1]) == .underWay)
      #expect(try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [2]) == .mismatch)
      try await store.finish("k", of: Self.caller, tenant: Self.tenant, status: 202, body: [9])
    }
    let store = try await Store.open(place)
    let known = try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [1])
    #expect(known == .done(status: 202, body: [9]))
    #expect(try await store.begin("k", of: UUID(high: 4, low: 4), tenant: Self.tenant, request: [1]) == .new)
  }

  @Test(arguments: Engine.allCases) @LoopActor
  func everyOlderVersionWithDataInsideIsBroughtForward(_ engine: Engine) async throws {
    for version in 1..<StoreMigrations.steps.count {
      let place = try engine.makePlace()
      do {
        let old = try await Store.open(place, upTo: version)
        try await old.run { session throws(StoreError) in
          try session.of(Self.tenant).rows(
            """
            INSERT INTO api_keys (tenant_id, id, name, hint, scopes, created_at, hash)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            """, .id(Self.caller), .text("an old key"), .text("sk_…"), .text("calls:read"), .int(1), .blob([7]))
        }
      }
      let store = try await Store.open(place)
      let rows = try await store.run(of: Self.tenant) { rows throws(StoreError) in
        try rows.rows("SELECT name, kind, last_used_at FROM api_keys WHERE tenant_id = ?1")
      }
      #expect(rows == [[.text("an old key"), .text("relay"), .null]])
    }
  }

  @Test(arguments: Engine.allCases) @LoopActor
  func valuesOfEveryKindComeBackAsTheyWent(_ engine: Engine) async throws {
    let store = try await Store.open(try engine.makePlace())
    let id = UUID(high: .max, low: .max)
    let hostile = "'; DROP TABLE tenants; -- “\u{0301}🔐"
    try await store.run(of: Self.tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        INSERT INTO idempotency (tenant_id, caller_id, key, request, status, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        """, .id(id), .text(hostile), .blob([0, 255, 0]), .int(.min), .int(.max))
    }
    let rows = try await store.run(of: Self.tenant) { rows throws(StoreError) in
      try rows.rows(
        "SELECT caller_id, key, request, status, created_at, body FROM idempotency WHERE tenant_id = ?1")
    }
    #expect(rows == [[.id(id), .text(hostile), .blob([0, 255, 0]), .int(.min), .int(.max), .null]])
  }

  @Test(arguments: Engine.allCases) @LoopActor
  func aTransactionThatFailsLeavesNothing(_ engine: Engine) async throws {
    let store = try await Store.open(try engine.makePlace())
    await #expect(throws: StoreError.self) {
      try await store.run { session throws(StoreError) in
        try session.rows(
          acrossTenants: "INSERT INTO tenants (id, name, created_at) VALUES (?1, ?2, ?3)", .blob([1]), .text("a"),
          .int(1))
        try session.rows(
          acrossTenants: "INSERT INTO tenants (id, name, created_at) VALUES (?1, ?2, ?3)", .blob([1]), .text("b"),
          .int(1))
      }
    }
    let count = try await store.run { session throws(StoreError) in
      try session.rows(acrossTenants: "SELECT count(*) FROM tenants")
    }
    #expect(count == [[.int(1)]])
  }

  @Test(arguments: Engine.allCases) @LoopActor
  func oneTenantsRowsAreNotAnothers(_ engine: Engine) async throws {
    let store = try await Store.open(try engine.makePlace())
    let other = UUID(high: 9, low: 9)
    try await store.run { session throws(StoreError) in
      try session.rows(
        acrossTenants: "INSERT INTO tenants (id, name, created_at) VALUES (?1, ?2, ?3)", .id(other), .text("b"), .int(1)
      )
    }
    _ = try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [1])
    #expect(try await store.begin("k", of: Self.caller, tenant: other, request: [2]) == .new)
    try await store.finish("k", of: Self.caller, tenant: other, status: nil, body: [])
    #expect(try await store.begin("k", of: Self.caller, tenant: Self.tenant, request: [1]) == .underWay)
  }

  // MARK: Trouble

  @Test @LoopActor func aServerThatRestartsIsFoundAgain() async throws {
    let server = try PostgresServer()
    let store = try await Store.open(.postgres(Secret(try server.makeDatabase())))
    var faults: [Bool] = []
    store.onFault = { faults.append($0 != nil) }
    #expect(try await store.begin("a", of: Self.caller, tenant: Self.tenant, request: [1]) == .new)
    try server.stop()
    await #expect(throws: StoreError.self) { try await Self.begin(store, "b") }
    // While it is away, who asks is refused and not made to wait for it.
    let isRefused: Bool = try await eventually("the refusal") { done in
      LoopActor.begin { done((try? await Self.begin(store, "b")) == nil) }
    }
    #expect(isRefused)
    try server.start()
    let outcome: IdempotentOutcome = try await eventually("the store", within: 20) { done in
      @LoopActor func again() {
        LoopActor.begin {
          if let outcome = try? await Self.begin(store, "b") { return done(outcome) }
          LoopActor.loop.after(.milliseconds(100)) { again() }
        }
      }
      again()
    }
    #expect(outcome == .new)
    #expect(faults == [true, false])
    #expect(try await store.begin("a", of: Self.caller, tenant: Self.tenant, request: [1]) == .underWay)
  }

  @LoopActor private static func begin(_ store: Store, _ key: String) async throws -> IdempotentOutcome {
    try await store.begin(key, of: caller, tenant: tenant, request: [1])
  }

  @Test @LoopActor func aServerThatRestartedWhileNobodyAskedCostsNobodyAnError() async throws {
    let server = try PostgresServer()
    let store = try await Store.open(.postgres(Secret(try server.makeDatabase())))
    _ = try await Self.begin(store, "a")
    try server.stop()
    try server.start()
    #expect(try await Self.begin(store, "b") == .new)
  }

  @Test @LoopActor func aSlowQueryEndsAndTheConnectionLivesOn() async throws {
    let store = try await Store.open(try Engine.postgres.makePlace())
    await #expect(throws: StoreError.self) {
      try await store.run { session throws(StoreError) in
        try session.rows(acrossTenants: "SELECT pg_sleep(60)")
      }
    }
    #expect(try await Self.begin(store, "a") == .new)
  }

  @Test @LoopActor func aServerThatStopsInMidAnswerHoldsNobodyForEver() async throws {
    let server = try PostgresServer()
    let store = try await Store.open(.postgres(Secret(try server.makeDatabase())))
    _ = try await Self.begin(store, "a")
    server.freeze(true)
    await #expect(throws: StoreError.self) { try await Self.begin(store, "b") }
    server.freeze(false)
    let outcome: IdempotentOutcome = try await eventually("the store", within: 20) { done in
      @LoopActor func again() {
        LoopActor.begin {
          if let outcome = try? await Self.begin(store, "c") { return done(outcome) }
          LoopActor.loop.after(.milliseconds(100)) { again() }
        }
      }
      again()
    }
    #expect(outcome == .new)
  }

  @Test @LoopActor func whatWaitsForTheThreadIsBounded() async throws {
    let store = try await Store.open(try Engine.sqlite.makePlace())
    let (kept, refused): (Int, Int) = try await eventually("all answers") { done in
      var (kept, refused) = (0, 0)
      for number in 0..<Store.queueLimit * 2 {
        LoopActor.begin {
          do {
            _ = try await Self.begin(store, "k\(number)")
            kept += 1
          } catch { refused += 1 }
          if kept + refused == Store.queueLimit * 2 { done((kept, refused)) }
        }
      }
    }
    #expect(kept >= Store.queueLimit && refused > 0)
    #expect(try await Self.begin(store, "after") == .new)
  }
}
