// What became of requests that act on the world and were sent with an Idempotency-Key, kept for 24 h.

package import Basics

package enum IdempotentOutcome: Sendable, Equatable {
  /// Nobody asked before; the request is now noted as under way.
  case new
  case done(status: Int, body: [UInt8])
  case underWay
  /// The same key came with another request.
  case mismatch
}

extension Store {
  /// Notes that this request is under way, unless it was made before.
  package func begin(_ key: String, of caller: UUID, tenant: UUID, request: [UInt8]) async throws(StoreError)
    -> IdempotentOutcome
  {
    let now = Timestamp.now()
    return try await run(of: tenant) { rows throws(StoreError) in
      try rows.rows(
        "DELETE FROM idempotency WHERE tenant_id = ?1 AND created_at < ?2", .time(now.adding(seconds: -86_400)))
      try rows.rows(
        """
        INSERT INTO idempotency (tenant_id, caller_id, key, request, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING
        """, .id(caller), .text(key), .blob(request), .time(now))
      if rows.changes > 0 { return .new }
      let known = try rows.rows(
        "SELECT request, status, body FROM idempotency WHERE tenant_id = ?1 AND caller_id = ?2 AND key = ?3",
        .id(caller), .text(key))
      guard let row = known.first, row[0] == .blob(request) else { return .mismatch }
      guard let status = row[1].int, let body = row[2].blob else { return .underWay }
      return .done(status: Int(status), body: body)
    }
  }

  /// Keeps the answer for 24 h; a nil answer forgets the request, so that it may be tried again.
  package func finish(_ key: String, of caller: UUID, tenant: UUID, status: Int?, body: [UInt8])
    async throws(StoreError)
  {
    try await run(of: tenant) { rows throws(StoreError) in
      if let status {
        try rows.rows(
          "UPDATE idempotency SET status = ?4, body = ?5 WHERE tenant_id = ?1 AND caller_id = ?2 AND key = ?3",
          .id(caller), .text(key), .int(Int64(status)), .blob(body))
      } else {
        try rows.rows(
          "DELETE FROM idempotency WHERE tenant_id = ?1 AND caller_id = ?2 AND key = ?3", .id(caller), .text(key))
      }
    }
  }
}
