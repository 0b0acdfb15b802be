// The journal's schema, forward steps only. A step that was released is never edited.

package enum Migrations {
  package static let steps = [step1, step2, step3, step4]

  /// Ids begin with milliseconds, so that both indexes grow at their end and inserts stay cheap.
  private static let step1 = """
    CREATE TABLE entries (
      position INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE,
      occurred INTEGER NOT NULL,
      kept INTEGER NOT NULL,
      tenant BLOB NOT NULL,
      type TEXT NOT NULL,
      source TEXT NOT NULL,
      call_id BLOB,
      call BLOB,
      detail BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_call ON entries (call_id, position) WHERE call_id IS NOT NULL;
    CREATE TABLE open_calls (
      call_id BLOB PRIMARY KEY
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE calls (
      tenant BLOB NOT NULL,
      started INTEGER NOT NULL,
      call_id BLOB NOT NULL,
      ended INTEGER NOT NULL,
      direction TEXT NOT NULL,
      disposition TEXT NOT NULL,
      queue TEXT,
      numbers TEXT NOT NULL,
      call BLOB NOT NULL,
      PRIMARY KEY (tenant, started, call_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE losses (
      id INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      reason TEXT NOT NULL,
      count INTEGER NOT NULL,
      detail TEXT NOT NULL
    ) STRICT;
    """

  /// An event's id begins with the same milliseconds as its call's, so the index of ids finds a call's entries too; an
  /// index of its own cost a tenth of every append. A call has one row from its first event on; the row's position, once
  /// it has one, is the entry that ended it, and goes with it.
  private static let step2 = """
    DROP INDEX entries_by_call;
    ALTER TABLE calls RENAME TO old_calls;
    CREATE TABLE calls (
      tenant BLOB NOT NULL,
      started INTEGER NOT NULL,
      call_id BLOB NOT NULL,
      position INTEGER,
      direction TEXT,
      disposition TEXT,
      queue TEXT,
      numbers TEXT,
      PRIMARY KEY (tenant, started, call_id)
    ) STRICT, WITHOUT ROWID;
    INSERT OR IGNORE INTO calls (tenant, started, call_id, position, direction, disposition, queue, numbers)
    SELECT o.tenant, o.started, o.call_id, e.position, o.direction, o.disposition, o.queue, o.numbers
    FROM entries e
    JOIN old_calls o ON o.call_id = e.call_id
    WHERE e.type = 'call.ended';
    INSERT OR IGNORE INTO calls (tenant, started, call_id)
    SELECT e.tenant, min(e.occurred), e.call_id
    FROM open_calls o
    JOIN entries e ON e.call_id = o.call_id
    GROUP BY e.call_id;
    DROP TABLE old_calls;
    DROP TABLE open_calls;
    """

  /// A journal has an id, so that what counts in its positions is never taken for another's. The ledger names events.
  private static let step3 = """
    CREATE TABLE identity (
      id BLOB NOT NULL
    ) STRICT;
    INSERT INTO identity (id) VALUES (randomblob(16));
    ALTER TABLE losses ADD COLUMN first_position INTEGER;
    ALTER TABLE losses ADD COLUMN last_position INTEGER;
    ALTER TABLE losses ADD COLUMN event_ids BLOB;
    """

  /// Positions up to the floor were given, or may have been, to entries that are not here: in a journal that was brought
  /// back from a backup.
  private static let step4 = """
    ALTER TABLE identity ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
    """
}
