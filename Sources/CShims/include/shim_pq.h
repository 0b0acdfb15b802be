// libpq, opened when a PostgreSQL is configured and not linked: it brings some twenty libraries (Kerberos, LDAP) that a
// host without one should not carry in memory. The calls waited for here end at their deadline, which libpq's own
// blocking calls do not: a server that was stopped mid-answer would hold them for ever.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Zero when libpq.so.5 is there; else why not, in `why`.
int shim_pq_load(char *why, size_t size);

/// A connection, or NULL with the reason in `why`.
void *shim_pq_connect(const char *conninfo, int timeout_ms, char *why, size_t size);
void shim_pq_close(void *connection);

struct shim_pq_answer {
  /// The server's result, or NULL when the connection broke (`why`) or the deadline passed (`timed_out`).
  void *result;
  int timed_out;
  char why[256];
};

struct shim_pq_answer shim_pq_query(void *connection, const char *sql, int count, const unsigned *types,
                                    const char *const *values, const int *lengths, int timeout_ms);
/// Several statements in one text, without values.
struct shim_pq_answer shim_pq_script(void *connection, const char *sql, int timeout_ms);

/// 1 when the result is rows or a finished command.
int shim_pq_is_fine(const void *result);
const char *shim_pq_error(const void *result);
const char *shim_pq_state(const void *result);
int shim_pq_rows(const void *result);
int shim_pq_columns(const void *result);
unsigned shim_pq_type(const void *result, int column);
int shim_pq_is_null(const void *result, int row, int column);
const char *shim_pq_value(const void *result, int row, int column);
int shim_pq_length(const void *result, int row, int column);
int shim_pq_changes(const void *result);
void shim_pq_clear(void *result);
