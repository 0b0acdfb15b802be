// Brings what the write-ahead log holds into the journal's file, over a connection and on a thread of its own: appends
// go on meanwhile, where a checkpoint of theirs would hold up whoever waits for the event.

internal import SQLite

/// Used on one worker's thread alone.
final class Checkpointer: @unchecked Sendable {
  private let path: String
  private var database: Database?

  init(path: String) { self.path = path }

  /// Copies what is committed; what cannot be copied now will be next time.
  func run() {
    do {
      let database = try database ?? Database(path: path)
      self.database = database
      try database.rows("PRAGMA wal_checkpoint(PASSIVE)")
    } catch { database = nil }
  }
}
