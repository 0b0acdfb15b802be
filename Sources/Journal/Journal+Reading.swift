// Questions to the journal, each a job for its thread: a reader waits behind the appends before it and never in their way
// for longer than its page.

package import Basics
package import CallModel
internal import Loop
internal import SQLite

extension Journal {
  package func entries(after: Position, limit: Int) async throws(JournalError) -> [JournalEntry] {
    try await ask { file throws(SQLiteError) in try file.entries(after: after, limit: limit) }
  }

  package func entries(at positions: [Position]) async throws(JournalError) -> [JournalEntry] {
    try await ask { file throws(SQLiteError) in try file.entries(at: positions) }
  }

  package func positions(of events: [EventID]) async throws(JournalError) -> [Position] {
    try await ask { file throws(SQLiteError) in try file.positions(of: events) }
  }

  /// The first position of an entry that was kept at this time or later.
  package func position(keptAt time: Timestamp) async throws(JournalError) -> Position {
    try await ask { file throws(SQLiteError) in Position(try file.due(time)) }
  }

  package func record(loss reason: String, count: Int, detail: String, events: [EventID]) async throws(JournalError) {
    try await ask { file throws(SQLiteError) in
      try file.record(loss: reason, count: count, detail: detail, ids: events.flatMap(\.uuid.bytes))
    }
  }

  package func entries(of call: CallID) async throws(JournalError) -> [JournalEntry] {
    try await ask { file throws(SQLiteError) in try file.entries(of: call) }
  }

  package func history(_ query: HistoryQuery) async throws(JournalError) -> [[UInt8]] {
    try await ask { file throws(SQLiteError) in try file.history(query) }
  }

  package func openCalls() async throws(JournalError) -> [(last: JournalEntry, told: Int)] {
    try await ask { file throws(SQLiteError) in try file.openCallsNow() }
  }

  package func losses() async throws(JournalError) -> [Loss] {
    try await ask { file throws(SQLiteError) in try file.losses() }
  }

  package func hour(of tenant: TenantID, from: Timestamp) async throws(JournalError) -> (
    total: Int, answered: Int, waits: [Int]
  ) {
    try await ask { file throws(SQLiteError) in try file.hour(of: tenant, from: from) }
  }

  /// Bytes that hold something, calls that are open, and what retention with these limits would remove now.
  package func figures(olderThanDays days: Int, largerThanMiB mebibytes: Int) async throws(JournalError) -> (
    bytes: Int, openCalls: Int, prunable: Int
  ) {
    let before = Timestamp.now().adding(seconds: -Double(days) * 86_400)
    return try await ask { file throws(SQLiteError) in
      let prunable = try file.prunable(before: before, bytes: mebibytes << 20)
      return (try file.size(), file.openCallCount, prunable)
    }
  }

  /// Applies retention in slices, so that appends get their turn between them.
  /// - Returns: how many entries went.
  @discardableResult
  package func prune(olderThanDays days: Int, largerThanMiB mebibytes: Int, claims: [RetentionClaim] = [])
    async throws(JournalError) -> Int
  {
    var total = 0
    while isWritable {
      let before = Timestamp.now().adding(seconds: -Double(days) * 86_400)
      let gone = try await ask { file throws(SQLiteError) in
        try file.prune(before: before, bytes: mebibytes << 20, claims: claims)
      }
      total += gone
      oldest = try await ask { file throws(SQLiteError) in file.oldest }
      if gone == 0 { break }
    }
    return total
  }

  private func ask<T: Sendable>(
    _ question: @escaping @Sendable (JournalFile) throws(SQLiteError) -> T
  ) async throws(JournalError) -> T {
    do {
      return try await worker.run { [file] () throws(SQLiteError) in try question(file) }
    } catch {
      throw .failed(error.description)
    }
  }
}
