#include "shim_pq.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// The part of libpq's interface that is used; its numbers are ABI since PostgreSQL 9 (libpq-fe.h).
enum { CONNECTION_OK = 0, CONNECTION_BAD = 1, COMMAND_OK = 1, TUPLES_OK = 2 };
enum { POLLING_FAILED = 0, POLLING_READING = 1, POLLING_WRITING = 2, POLLING_OK = 3 };

static struct {
  void *(*connectStart)(const char *);
  int (*connectPoll)(void *);
  int (*status)(const void *);
  int (*socket)(const void *);
  char *(*errorMessage)(const void *);
  void (*finish)(void *);
  int (*setnonblocking)(void *, int);
  int (*sendQueryParams)(void *, const char *, int, const unsigned *, const char *const *, const int *, const int *, int);
  int (*sendQuery)(void *, const char *);
  int (*flush)(void *);
  int (*consumeInput)(void *);
  int (*isBusy)(void *);
  void *(*getResult)(void *);
  int (*resultStatus)(const void *);
  char *(*resultErrorField)(const void *, int);
  char *(*resultErrorMessage)(const void *);
  int (*ntuples)(const void *);
  int (*nfields)(const void *);
  unsigned (*ftype)(const void *, int);
  int (*getisnull)(const void *, int, int);
  char *(*getvalue)(const void *, int, int);
  int (*getlength)(const void *, int, int);
  char *(*cmdTuples)(void *);
  void (*clear)(void *);
  void *(*setNoticeProcessor)(void *, void (*)(void *, const char *), void *);
} pq;

static int loaded;

static void quiet(void *context, const char *text) {
  (void)context;
  (void)text;
}

int shim_pq_load(char *why, size_t size) {
  if (loaded) return 0;
  void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(why, size, "%s", dlerror());
    return -1;
  }
  const char *missing = NULL;
#define FIND(member, name) \
  if (!(*(void **)&pq.member = dlsym(library, name))) missing = name
  FIND(connectStart, "PQconnectStart");
  FIND(connectPoll, "PQconnectPoll");
  FIND(status, "PQstatus");
  FIND(socket, "PQsocket");
  FIND(errorMessage, "PQerrorMessage");
  FIND(finish, "PQfinish");
  FIND(setnonblocking, "PQsetnonblocking");
  FIND(sendQueryParams, "PQsendQueryParams");
  FIND(sendQuery, "PQsendQuery");
  FIND(flush, "PQflush");
  FIND(consumeInput, "PQconsumeInput");
  FIND(isBusy, "PQisBusy");
  FIND(getResult, "PQgetResult");
  FIND(resultStatus, "PQresultStatus");
  FIND(resultErrorField, "PQresultErrorField");
  FIND(resultErrorMessage, "PQresultErrorMessage");
  FIND(ntuples, "PQntuples");
  FIND(nfields, "PQnfields");
  FIND(ftype, "PQftype");
  FIND(getisnull, "PQgetisnull");
  FIND(getvalue, "PQgetvalue");
  FIND(getlength, "PQgetlength");
  FIND(cmdTuples, "PQcmdTuples");
  FIND(clear, "PQclear");
  FIND(setNoticeProcessor, "PQsetNoticeProcessor");
#undef FIND
  if (missing) {
    snprintf(why, size, "libpq.so.5 has no %s", missing);
    return -1;
  }
  loaded = 1;
  return 0;
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/// Waits for the socket until the deadline; 0 when it passed.
static int await(void *connection, short events, long long deadline) {
  struct pollfd one = {.fd = pq.socket(connection), .events = events};
  long long left = deadline - now_ms();
  return left > 0 && poll(&one, 1, (int)left) != 0;
}

void *shim_pq_connect(const char *conninfo, int timeout_ms, char *why, size_t size) {
  long long deadline = now_ms() + timeout_ms;
  void *connection = pq.connectStart(conninfo);
  if (!connection) {
    snprintf(why, size, "out of memory");
    return NULL;
  }
  int state = pq.status(connection) == CONNECTION_BAD ? POLLING_FAILED : POLLING_WRITING;
  while (state == POLLING_READING || state == POLLING_WRITING) {
    if (!await(connection, state == POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      snprintf(why, size, "no answer within %d ms", timeout_ms);
      pq.finish(connection);
      return NULL;
    }
    state = pq.connectPoll(connection);
  }
  if (state != POLLING_OK) {
    snprintf(why, size, "%s", pq.errorMessage(connection));
    pq.finish(connection);
    return NULL;
  }
  pq.setNoticeProcessor(connection, quiet, NULL);
  pq.setnonblocking(connection, 1);
  return connection;
}

void shim_pq_close(void *connection) { pq.finish(connection); }

/// Reads results to the last; keeps that one, or the first that failed.
static struct shim_pq_answer collect(void *connection, int sent, long long deadline) {
  struct shim_pq_answer answer = {0};
  int flushing = sent ? 1 : -1;
  while (sent) {
    if (flushing == 1) flushing = pq.flush(connection);
    if (flushing < 0) break;
    if (!pq.isBusy(connection)) {
      void *result = pq.getResult(connection);
      if (!result) return answer;
      if (answer.result && shim_pq_is_fine(answer.result)) {
        pq.clear(answer.result);
        answer.result = NULL;
      }
      if (answer.result) pq.clear(result);
      else answer.result = result;
      if (pq.status(connection) == CONNECTION_BAD) break;
      continue;
    }
    if (!await(connection, flushing ? POLLIN | POLLOUT : POLLIN, deadline)) {
      answer.timed_out = 1;
      break;
    }
    if (!pq.consumeInput(connection)) break;
  }
  snprintf(answer.why, sizeof answer.why, "%s", pq.errorMessage(connection));
  if (answer.result) pq.clear(answer.result);
  answer.result = NULL;
  return answer;
}

struct shim_pq_answer shim_pq_query(void *connection, const char *sql, int count, const unsigned *types,
                                    const char *const *values, const int *lengths, int timeout_ms) {
  int formats[64];
  for (int i = 0; i < 64; i++) formats[i] = 1;
  int sent = count <= 64 && pq.sendQueryParams(connection, sql, count, types, values, lengths, formats, 1);
  return collect(connection, sent, now_ms() + timeout_ms);
}

struct shim_pq_answer shim_pq_script(void *connection, const char *sql, int timeout_ms) {
  return collect(connection, pq.sendQuery(connection, sql), now_ms() + timeout_ms);
}

int shim_pq_is_fine(const void *result) {
  int status = pq.resultStatus(result);
  return status == COMMAND_OK || status == TUPLES_OK;
}

const char *shim_pq_error(const void *result) { return pq.resultErrorMessage(result); }

const char *shim_pq_state(const void *result) {
  const char *state = pq.resultErrorField(result, 'C');
  return state ? state : "";
}

int shim_pq_rows(const void *result) { return pq.ntuples(result); }
int shim_pq_columns(const void *result) { return pq.nfields(result); }
unsigned shim_pq_type(const void *result, int column) { return pq.ftype(result, column); }
int shim_pq_is_null(const void *result, int row, int column) { return pq.getisnull(result, row, column); }
const char *shim_pq_value(const void *result, int row, int column) { return pq.getvalue(result, row, column); }
int shim_pq_length(const void *result, int row, int column) { return pq.getlength(result, row, column); }
int shim_pq_changes(const void *result) { return atoi(pq.cmdTuples((void *)result)); }
void shim_pq_clear(void *result) { pq.clear(result); }
