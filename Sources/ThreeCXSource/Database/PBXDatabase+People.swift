// What the PBX's database says of people rather than of calls: who serves which queue, and new messages in mailboxes.

package import Basics
package import CallModel
internal import Postgres

/// An agent of a queue.
package struct QueueAgent: Hashable, Sendable {
  package let queue: String
  package let agent: String
  /// Logged in to this queue, with a telephone whose queue status is on and that is enabled: all three decide.
  package let isLoggedIn: Bool
}

/// A message, with its id in the records.
package struct RecordedVoicemail: Sendable {
  package let id: Int64
  package let createdAt: Timestamp
  package let voicemail: Voicemail
}

extension PBXDatabase {
  /// Agents of all queues at most.
  private nonisolated static let agentLimit: Int64 = 5000

  /// Nil where the role may not read the tables.
  package func agents() async throws(DatabaseFault) -> [QueueAgent]? {
    let rows = try await ask { session, _ throws(PostgresError) -> [[SQLValue]]? in
      guard session.findings.readable.isSuperset(of: ["queue2dn", "dn", "extension"]) else { return nil }
      return try session.rows(
        """
        SELECT q.value::text, a.value::text,
          (m.is_logged_in::text IN ('true', '1') AND e.qstatus::text IN ('1', 'true')
            AND e.enabled::text IN ('true', '1'))
        FROM queue2dn m
        JOIN dn q ON q.iddn = m.fkidqueue
        JOIN dn a ON a.iddn = m.fkiddn
        JOIN extension e ON e.fkiddn = m.fkiddn
        ORDER BY q.value, a.value
        LIMIT $1
        """, [.int(Self.agentLimit)])
    }
    return rows?.compactMap { row in
      guard let queue = row[0].text, let agent = row[1].text else { return nil }
      return QueueAgent(queue: queue, agent: agent, isLoggedIn: row[2].int == 1)
    }
  }

  /// Messages with an id above `last`, oldest first, at most 200, and the last id that was looked at; nil where the role
  /// may not read them.
  package func voicemails(after last: Int64) async throws(DatabaseFault) -> (found: [RecordedVoicemail], last: Int64)? {
    let rows = try await ask { session, _ throws(PostgresError) -> [[SQLValue]]? in
      guard session.findings.readable.contains("s_voicemail") else { return nil }
      return try session.rows(
        """
        SELECT v.id::int8, v.callee::text, v.caller::text, v.duration::text, v.created_time::text, v.wav_file::text,
          (SELECT count(*) FROM s_voicemail u
            WHERE u.callee = v.callee AND coalesce(u.heard::text, '') IN ('', '0', 'false')
              AND coalesce(u.removed::text, '') IN ('', '0', 'false'))
        FROM s_voicemail v
        WHERE v.id > $1 AND coalesce(v.removed::text, '') IN ('', '0', 'false')
        ORDER BY v.id
        LIMIT 200
        """, [.int(last)])
    }
    return rows.map { rows in (rows.compactMap(Self.voicemail), rows.last?.first?.int ?? last) }
  }

  /// The id after which messages are from `time` on.
  package func lastVoicemail(before time: Timestamp) async throws(DatabaseFault) -> Int64? {
    // `YYYYMMDDHHMMSS.ff` of UTC sorts as time does.
    let text = String(time.description.filter(\.isNumber).prefix(14))
    return try await ask { session, _ throws(PostgresError) in
      guard session.findings.readable.contains("s_voicemail") else { return nil }
      return try session.rows(
        "SELECT coalesce(max(id), 0)::int8 FROM s_voicemail WHERE created_time::text < $1", [.text(text)]
      ).first?.first?.int
    }
  }

  private nonisolated static func voicemail(_ row: [SQLValue]) -> RecordedVoicemail? {
    guard let id = row[0].int, let mailbox = row[1].text else { return nil }
    // Milliseconds, as text.
    let duration = row[3].text.flatMap { Double($0) }.map { $0 / 1000 }
    let voicemail = Voicemail(
      mailbox: mailbox, caller: row[2].text.flatMap { $0.isEmpty ? nil : $0 }, new: Int(row[6].int ?? 0),
      duration: duration, reference: row[5].text)
    return RecordedVoicemail(
      id: id, createdAt: time(row[4].text ?? "") ?? Timestamp(microseconds: id), voicemail: voicemail)
  }

  /// `20261101120000.25`, UTC.
  nonisolated static func time(_ text: String) -> Timestamp? {
    let digits = Array(text.utf8.prefix { $0 != 46 })
    guard digits.count == 14, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
    let fraction = text.split(separator: ".").dropFirst().first.flatMap { Double("0.\($0)") } ?? 0
    return Timestamp(
      rfc3339:
        "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(8..<10)):\(part(10..<12)):\(part(12..<14))Z"
    )?.adding(seconds: fraction)
  }
}
