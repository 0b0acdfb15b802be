// librdkafka, opened when a sink needs it: an idempotent producer whose reports are announced on a descriptor and taken
// on the thread that asks for them.
#pragma once

#include <stddef.h>

typedef struct shim_kafka shim_kafka;

// `number` is what the message was given; `error` null when the brokers have it. `is_fatal`: the message can never be
// taken.
typedef void (*shim_kafka_report)(void *context, size_t number, const char *error, int is_fatal);
// The client's own trouble: brokers away, authentication.
typedef void (*shim_kafka_trouble)(void *context, const char *why);

int shim_kafka_load(char *why, size_t size);
// `settings`: names and values in turn, ended by a null pointer. Null with the reason when they are no good. `wake` is
// written to when there is something to take.
shim_kafka *shim_kafka_producer(
  const char *const *settings, int wake, shim_kafka_report report, shim_kafka_trouble trouble, void *context, char *why,
  size_t size);
// 0; or -1 with the reason, and `*is_fatal` when trying again is of no use.
int shim_kafka_send(
  shim_kafka *kafka, const char *topic, const void *key, size_t key_size, const void *value, size_t value_size,
  const char *id, const char *content_type, size_t number, int *is_fatal, char *why, size_t size);
// Calls back for every report there is.
void shim_kafka_take(shim_kafka *kafka);
// Blocks for some time. What was not reported is never reported.
void shim_kafka_close(shim_kafka *kafka);
