// The limit for appending: the same rows into one SQLite table with the same durability, batch by batch.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
  int count = atoi(argv[2]), batch = atoi(argv[3]), body = atoi(argv[4]);
  sqlite3 *db;
  sqlite3_stmt *insert;
  remove(argv[1]);
  sqlite3_open(argv[1], &db);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-1024;"
                   "CREATE TABLE e (position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, type TEXT, body BLOB) STRICT", 0, 0, 0);
  sqlite3_prepare_v2(db, "INSERT INTO e VALUES (?, ?, ?, ?)", -1, &insert, 0);
  char *text = malloc(body);
  memset(text, 'x', body);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < count; i++) {
    if (i % batch == 0) sqlite3_exec(db, "BEGIN IMMEDIATE", 0, 0, 0);
    unsigned char id[16] = {i >> 24, i >> 16, i >> 8, i};
    sqlite3_bind_int64(insert, 1, i + 1);
    sqlite3_bind_blob(insert, 2, id, 16, SQLITE_TRANSIENT);
    sqlite3_bind_text(insert, 3, "call.ended", -1, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 4, text, body, SQLITE_STATIC);
    sqlite3_step(insert);
    sqlite3_reset(insert);
    if (i % batch == batch - 1) sqlite3_exec(db, "COMMIT", 0, 0, 0);
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.0f rows/s\n", count / ((b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9));
  sqlite3_close(db);
  remove(argv[1]);
}
