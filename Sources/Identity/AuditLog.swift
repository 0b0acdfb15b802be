// Who did what, in a chain: each entry's hash covers the one before, so that an entry that was changed, removed or put
// in between is found by whoever walks it.

package import Basics
internal import Crypto
package import Loop
package import Store

/// What the log is told.
package struct AuditNote: Sendable {
  package var actor: String
  package var action: String
  package var target: String
  package var address: String
  package var detail: String

  package init(actor: String, action: String, target: String = "", address: String = "", detail: String = "") {
    (self.actor, self.action, self.target) = (actor, action, target)
    (self.address, self.detail) = (address, detail)
  }
}

package struct AuditEntry: Sendable {
  package let number: Int64
  package let at: Timestamp
  package let note: AuditNote
  let chain: [UInt8]
}

/// What a walk along the chain found.
package enum AuditVerdict: Sendable, Equatable {
  case whole(entries: Int)
  /// The first entry that does not follow from the one before.
  case broken(at: Int64)
}

package struct AuditLog: Sendable {
  private let store: Store

  package init(_ store: Store) { self.store = store }

  /// Adds to the tenant's chain, in the transaction of what it tells of.
  static func append(_ note: AuditNote, to rows: TenantRows) throws(StoreError) {
    try rows.lock()
    let last = try rows.rows(
      "SELECT number, chain FROM audit WHERE tenant_id = ?1 ORDER BY number DESC LIMIT 1"
    ).first
    let (number, before) = ((last?[0].int ?? 0) + 1, last?[1].blob ?? [])
    let at = Timestamp.now()
    try rows.rows(
      """
      INSERT INTO audit (tenant_id, number, at, actor, action, target, address, detail, chain)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
      """, .int(number), .time(at), .text(note.actor), .text(note.action), .text(note.target), .text(note.address),
      .text(note.detail), .blob(link(before, rows.tenant, number, at, note)))
  }

  @LoopActor
  package func append(_ note: AuditNote, of tenant: UUID) async throws(StoreError) {
    try await store.run(of: tenant) { rows throws(StoreError) in try Self.append(note, to: rows) }
  }

  /// Each part with its length before it, so that no two entries read alike.
  private static func link(_ before: [UInt8], _ tenant: UUID, _ number: Int64, _ at: Timestamp, _ note: AuditNote)
    -> [UInt8]
  {
    let parts =
      [before, tenant.bytes, Array("\(number)".utf8), Array("\(at.microseconds)".utf8)]
      + [note.actor, note.action, note.target, note.address, note.detail].map { Array($0.utf8) }
    return Digest.sha256(parts.flatMap { Array("\($0.count):".utf8) + $0 })
  }

  /// Newest first.
  @LoopActor
  package func page(of tenant: UUID, before: Int64 = .max, limit: Int) async throws(StoreError) -> [AuditEntry] {
    try await store.run(of: tenant) { rows throws(StoreError) in
      try rows.rows(
        """
        SELECT number, at, actor, action, target, address, detail, chain
        FROM audit
        WHERE tenant_id = ?1 AND number < ?2
        ORDER BY number DESC
        LIMIT ?3
        """, .int(before), .int(Int64(limit))
      ).compactMap(Self.entry)
    }
  }

  private static func entry(_ row: [SQLValue]) -> AuditEntry? {
    guard let number = row[0].int, let at = row[1].time, let chain = row[7].blob else { return nil }
    let text = row[2...6].map { $0.text ?? "" }
    let note = AuditNote(actor: text[0], action: text[1], target: text[2], address: text[3], detail: text[4])
    return AuditEntry(number: number, at: at, note: note, chain: chain)
  }

  /// Walks a tenant's chain from its first entry, a thousand at a time.
  @LoopActor
  package func verify(of tenant: UUID) async throws(StoreError) -> AuditVerdict {
    var (last, before): (Int64, [UInt8]) = (0, [])
    while true {
      let after = last
      let page = try await store.run(of: tenant) { rows throws(StoreError) in
        try rows.rows(
          """
          SELECT number, at, actor, action, target, address, detail, chain
          FROM audit
          WHERE tenant_id = ?1 AND number > ?2
          ORDER BY number
          LIMIT 1000
          """, .int(after)
        ).compactMap(Self.entry)
      }
      for entry in page {
        let expected = Self.link(before, tenant, entry.number, entry.at, entry.note)
        guard entry.number == last + 1, entry.chain == expected else { return .broken(at: entry.number) }
        (last, before) = (entry.number, entry.chain)
      }
      if page.isEmpty { return .whole(entries: Int(last)) }
    }
  }
}
