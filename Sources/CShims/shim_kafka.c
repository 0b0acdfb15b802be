#include "shim_kafka.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The part of rdkafka.h that is used; its numbers and this structure are the ABI of librdkafka.so.1.
enum { PRODUCER = 0, CONF_OK = 0, COPY = 2 };
enum { END = 0, TOPIC = 1, VALUE = 4, KEY = 5, OPAQUE = 6, FLAGS = 7, HEADER = 9 };
enum { TOO_LARGE = 10, INVALID_RECORD = 87, FATAL = -150 };

struct message {
  int error;
  void *topic;
  int32_t partition;
  void *payload;
  size_t size;
  void *key;
  size_t key_size;
  int64_t offset;
  void *opaque;
};

#if __has_include(<librdkafka/rdkafka.h>)
#include <librdkafka/rdkafka.h>
_Static_assert(offsetof(struct message, opaque) == offsetof(rd_kafka_message_t, _private), "layout");
_Static_assert(offsetof(struct message, payload) == offsetof(rd_kafka_message_t, payload), "layout");
_Static_assert(
  VALUE == RD_KAFKA_VTYPE_VALUE && KEY == RD_KAFKA_VTYPE_KEY && OPAQUE == RD_KAFKA_VTYPE_OPAQUE &&
    FLAGS == RD_KAFKA_VTYPE_MSGFLAGS && HEADER == RD_KAFKA_VTYPE_HEADER && TOPIC == RD_KAFKA_VTYPE_TOPIC &&
    COPY == RD_KAFKA_MSG_F_COPY && TOO_LARGE == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE &&
    INVALID_RECORD == RD_KAFKA_RESP_ERR_INVALID_RECORD && FATAL == RD_KAFKA_RESP_ERR__FATAL,
  "numbers");
#endif

static struct {
  void *(*conf_new)(void);
  int (*conf_set)(void *, const char *, const char *, char *, size_t);
  void (*conf_destroy)(void *);
  void (*conf_set_dr_msg_cb)(void *, void (*)(void *, const struct message *, void *));
  void (*conf_set_error_cb)(void *, void (*)(void *, int, const char *, void *));
  void (*conf_set_log_cb)(void *, void (*)(const void *, int, const char *, const char *));
  void (*conf_set_opaque)(void *, void *);
  void *(*_new)(int, void *, char *, size_t);
  void (*destroy_flags)(void *, int);
  int (*poll)(void *, int);
  int (*producev)(void *, ...);
  void *(*queue_get_main)(void *);
  void (*queue_destroy)(void *);
  void (*queue_io_event_enable)(void *, int, const void *, size_t);
  const char *(*err2str)(int);
  int (*purge)(void *, int);
} rd;

static int loaded;

struct shim_kafka {
  void *client, *queue;
  shim_kafka_report report;
  shim_kafka_trouble trouble;
  void *context;
};

int shim_kafka_load(char *why, size_t size) {
  if (loaded) return 0;
  void *library = dlopen("librdkafka.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(why, size, "librdkafka is not installed (Debian: apt install librdkafka1)");
    return -1;
  }
  const char *missing = NULL;
#define FIND(member, name) \
  if (!(*(void **)&rd.member = dlsym(library, name))) missing = name
  FIND(conf_new, "rd_kafka_conf_new");
  FIND(conf_set, "rd_kafka_conf_set");
  FIND(conf_destroy, "rd_kafka_conf_destroy");
  FIND(conf_set_dr_msg_cb, "rd_kafka_conf_set_dr_msg_cb");
  FIND(conf_set_error_cb, "rd_kafka_conf_set_error_cb");
  FIND(conf_set_log_cb, "rd_kafka_conf_set_log_cb");
  FIND(conf_set_opaque, "rd_kafka_conf_set_opaque");
  FIND(_new, "rd_kafka_new");
  FIND(destroy_flags, "rd_kafka_destroy_flags");
  FIND(poll, "rd_kafka_poll");
  FIND(producev, "rd_kafka_producev");
  FIND(queue_get_main, "rd_kafka_queue_get_main");
  FIND(queue_destroy, "rd_kafka_queue_destroy");
  FIND(queue_io_event_enable, "rd_kafka_queue_io_event_enable");
  FIND(err2str, "rd_kafka_err2str");
  FIND(purge, "rd_kafka_purge");
#undef FIND
  if (missing) {
    snprintf(why, size, "librdkafka.so.1 has no %s", missing);
    return -1;
  }
  loaded = 1;
  return 0;
}

static int is_hopeless(int error) { return error == TOO_LARGE || error == INVALID_RECORD; }

static void on_report(void *client, const struct message *message, void *opaque) {
  (void)client;
  shim_kafka *self = opaque;
  const char *error = message->error ? rd.err2str(message->error) : NULL;
  self->report(self->context, (size_t)message->opaque, error, is_hopeless(message->error));
}

static void on_error(void *client, int error, const char *reason, void *opaque) {
  (void)client;
  shim_kafka *self = opaque;
  self->trouble(self->context, error == FATAL ? "fatal" : reason);
}

// What it has to say comes back as errors; its log would go to stderr past ours.
static void on_log(const void *client, int level, const char *facility, const char *text) {
  (void)client, (void)level, (void)facility, (void)text;
}

shim_kafka *shim_kafka_producer(
  const char *const *settings, int wake, shim_kafka_report report, shim_kafka_trouble trouble, void *context, char *why,
  size_t size) {
  shim_kafka *self = calloc(1, sizeof *self);
  if (!self) return NULL;
  (self->report = report, self->trouble = trouble, self->context = context);
  void *conf = rd.conf_new();
  for (; *settings; settings += 2)
    if (rd.conf_set(conf, settings[0], settings[1], why, size) != CONF_OK) {
      rd.conf_destroy(conf);
      free(self);
      return NULL;
    }
  rd.conf_set_opaque(conf, self);
  rd.conf_set_dr_msg_cb(conf, on_report);
  rd.conf_set_error_cb(conf, on_error);
  rd.conf_set_log_cb(conf, on_log);
  self->client = rd._new(PRODUCER, conf, why, size);
  if (!self->client) {
    rd.conf_destroy(conf);
    free(self);
    return NULL;
  }
  static const uint64_t one = 1;
  self->queue = rd.queue_get_main(self->client);
  rd.queue_io_event_enable(self->queue, wake, &one, sizeof one);
  return self;
}

int shim_kafka_send(
  shim_kafka *self, const char *topic, const void *key, size_t key_size, const void *value, size_t value_size,
  const char *id, const char *content_type, size_t number, int *is_fatal, char *why, size_t size) {
  int error = rd.producev(
    self->client, TOPIC, topic, FLAGS, COPY, VALUE, (void *)value, value_size, KEY, (void *)key, key_size, HEADER,
    "ce_id", (const void *)id, (ptrdiff_t)strlen(id), HEADER, "content-type", (const void *)content_type,
    (ptrdiff_t)strlen(content_type), OPAQUE, (void *)number, END);
  *is_fatal = is_hopeless(error);
  if (error) snprintf(why, size, "%s", rd.err2str(error));
  return error ? -1 : 0;
}

void shim_kafka_take(shim_kafka *self) {
  while (rd.poll(self->client, 0) > 0) {
  }
}

void shim_kafka_close(shim_kafka *self) {
  rd.queue_io_event_enable(self->queue, -1, NULL, 0);
  rd.queue_destroy(self->queue);
  // Undelivered messages go; nobody is told (RD_KAFKA_PURGE_F_QUEUE | INFLIGHT, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE).
  rd.purge(self->client, 0x3);
  rd.destroy_flags(self->client, 0x8);
  free(self);
}
