// libnats, opened when a sink needs it: a connection that makes itself anew, messages with a reply subject, and the
// replies. JetStream's acknowledgements and its API are replies too, so nothing else of the library is needed.
#pragma once

#include <stddef.h>

typedef struct shim_nats shim_nats;

struct shim_nats_options {
  // `nats://host:4222`, or several with commas; `tls://` for TLS.
  const char *url;
  const char *name;
  // Each null where there is none.
  const char *username;
  const char *password;
  const char *token;
  const char *credentials_file;
  const char *ca_file;
  const char *cert_file;
  const char *key_file;
  // Replies come on `inbox.*`.
  const char *inbox;
};

// Both are called on threads of the library.
typedef void (*shim_nats_reply)(void *context, const char *subject, const char *data, size_t size, int no_responders);
// `connected`: 1, 0, or -1 when the library has given up and the connection must be made anew.
typedef void (*shim_nats_state)(void *context, int connected, const char *why);

int shim_nats_load(char *why, size_t size);
// Blocks for up to two seconds, and goes on trying by itself. Null with the reason when the options are no good.
shim_nats *shim_nats_connect(
  const struct shim_nats_options *options, shim_nats_reply reply, shim_nats_state state, void *context, char *why,
  size_t size);
// `message_id` may be null. 0, or the library's status.
int shim_nats_publish(
  shim_nats *nats, const char *subject, const char *reply, const void *data, size_t size, const char *message_id,
  const char *content_type);
const char *shim_nats_text(int status);
// Ends its threads; no callback is under way when it returns.
void shim_nats_close(shim_nats *nats);
