// The state's schema, forward steps only, in the SQL that both engines are brought to understand. A step that was
// released is never edited. Times are microseconds since 1970, flags 0 or 1, identifiers 16 bytes.

package enum StoreMigrations {
  package static let steps = [step1, step2, step3, step4]

  private static let step1 = """
    CREATE TABLE tenants (
      id BLOB PRIMARY KEY,
      name TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO tenants (id, name, created_at) VALUES (x'00000000000080008000000000000001', 'default', 0);
    CREATE TABLE api_keys (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      id BLOB NOT NULL,
      name TEXT NOT NULL,
      hint TEXT NOT NULL,
      scopes TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      revoked_at INTEGER,
      hash BLOB NOT NULL UNIQUE,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE idempotency (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      caller_id BLOB NOT NULL,
      key TEXT NOT NULL,
      request BLOB NOT NULL,
      status INTEGER,
      body BLOB,
      created_at INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, caller_id, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_by_age ON idempotency (created_at);
    """

  /// Users, what they may, what they did. `generation` ends a user's sessions when it grows; `chain` makes the audit
  /// log a chain of hashes of each tenant's entries.
  private static let step2 = """
    CREATE UNIQUE INDEX tenants_by_name ON tenants (name);
    ALTER TABLE api_keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'relay';
    ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
    ALTER TABLE api_keys ADD COLUMN replaced_by BLOB;
    ALTER TABLE api_keys ADD COLUMN user_id BLOB;
    CREATE TABLE users (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      id BLOB NOT NULL,
      username TEXT NOT NULL,
      role TEXT NOT NULL,
      password_hash TEXT,
      generation INTEGER NOT NULL,
      must_change_password INTEGER NOT NULL,
      key_version INTEGER NOT NULL,
      totp_secret BLOB,
      totp_last_step INTEGER,
      disabled_at INTEGER,
      created_at INTEGER NOT NULL,
      last_login_at INTEGER,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX users_by_name ON users (lower(username));
    CREATE TABLE claims (
      hash BLOB PRIMARY KEY,
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ended_sessions (
      id TEXT PRIMARY KEY,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE signing_keys (
      kid TEXT PRIMARY KEY,
      created_at INTEGER NOT NULL,
      retires_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE audit (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      number INTEGER NOT NULL,
      at INTEGER NOT NULL,
      actor TEXT NOT NULL,
      action TEXT NOT NULL,
      target TEXT NOT NULL,
      address TEXT NOT NULL,
      detail TEXT NOT NULL,
      chain BLOB NOT NULL,
      PRIMARY KEY (tenant_id, number)
    ) STRICT, WITHOUT ROWID;
    """

  /// Destinations, and how far each has come in each agent's journal. A page of the delivery log is numbered by the
  /// attempts up to its end.
  private static let step3 = """
    CREATE TABLE destinations (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      id BLOB NOT NULL,
      name TEXT NOT NULL,
      kind TEXT NOT NULL,
      origin TEXT NOT NULL,
      url TEXT NOT NULL,
      settings TEXT NOT NULL,
      secret_version INTEGER NOT NULL,
      previous_until INTEGER,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX destinations_by_name ON destinations (tenant_id, name);
    CREATE TABLE checkpoints (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      destination_id BLOB NOT NULL,
      journal_id BLOB NOT NULL,
      position INTEGER NOT NULL,
      ahead TEXT NOT NULL,
      accepted INTEGER NOT NULL,
      set_aside INTEGER NOT NULL,
      state TEXT NOT NULL,
      state_since INTEGER NOT NULL,
      state_reason TEXT NOT NULL,
      replay TEXT,
      PRIMARY KEY (tenant_id, destination_id, journal_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE deliveries (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      destination_id BLOB NOT NULL,
      journal_id BLOB NOT NULL,
      position INTEGER NOT NULL,
      event_id BLOB NOT NULL,
      lane BLOB NOT NULL,
      type TEXT NOT NULL,
      state TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      next_at INTEGER NOT NULL,
      reason TEXT NOT NULL,
      since INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, destination_id, journal_id, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE delivery_log (
      tenant_id BLOB NOT NULL REFERENCES tenants (id),
      destination_id BLOB NOT NULL,
      journal_id BLOB NOT NULL,
      page INTEGER NOT NULL,
      first_position INTEGER NOT NULL,
      last_position INTEGER NOT NULL,
      attempts BLOB NOT NULL,
      PRIMARY KEY (tenant_id, destination_id, journal_id, page)
    ) STRICT, WITHOUT ROWID;
    """

  /// Until when a destination asked to be left alone.
  private static let step4 = "ALTER TABLE checkpoints ADD COLUMN quiet_until INTEGER;"
}
