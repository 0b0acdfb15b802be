#include "shim_nats.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// The part of nats.h that is used, the same since 3.0; all types are opaque.
enum { CONNECTED = 2, NOT_YET_CONNECTED = 31 };
typedef void (*message_handler)(void *connection, void *subscription, void *message, void *closure);
typedef void (*connection_handler)(void *connection, void *closure);
typedef void (*error_handler)(void *connection, void *subscription, int status, void *closure);

static struct {
  int (*Options_Create)(void **);
  void (*Options_Destroy)(void *);
  int (*Options_SetServers)(void *, const char **, int);
  int (*Options_SetName)(void *, const char *);
  int (*Options_SetUserInfo)(void *, const char *, const char *);
  int (*Options_SetToken)(void *, const char *);
  int (*Options_SetUserCredentialsFromFiles)(void *, const char *, const char *);
  int (*Options_SetSecure)(void *, bool);
  int (*Options_LoadCATrustedCertificates)(void *, const char *);
  int (*Options_LoadCertificatesChain)(void *, const char *, const char *);
  int (*Options_SetMaxReconnect)(void *, int);
  int (*Options_SetReconnectWait)(void *, int64_t);
  int (*Options_SetTimeout)(void *, int64_t);
  int (*Options_SetPingInterval)(void *, int64_t);
  int (*Options_SetMaxPingsOut)(void *, int);
  int (*Options_SetRetryOnFailedConnect)(void *, bool, connection_handler, void *);
  int (*Options_SetDisconnectedCB)(void *, connection_handler, void *);
  int (*Options_SetClosedCB)(void *, connection_handler, void *);
  int (*Options_SetReconnectedCB)(void *, connection_handler, void *);
  int (*Options_SetErrorHandler)(void *, error_handler, void *);
  int (*Connection_Connect)(void **, void *);
  int (*Connection_Subscribe)(void **, void *, const char *, message_handler, void *);
  int (*Connection_PublishMsg)(void *, void *);
  int (*Connection_Status)(void *);
  void (*Connection_Destroy)(void *);
  void (*Subscription_Destroy)(void *);
  int (*Msg_Create)(void **, const char *, const char *, const char *, int);
  void (*Msg_Destroy)(void *);
  const char *(*Msg_GetSubject)(const void *);
  const char *(*Msg_GetData)(const void *);
  int (*Msg_GetDataLength)(const void *);
  bool (*Msg_IsNoResponders)(void *);
  int (*MsgHeader_Set)(void *, const char *, const char *);
  const char *(*Status_GetText)(int);
} nats;

static int loaded;

struct shim_nats {
  void *connection, *subscription;
  shim_nats_reply reply;
  shim_nats_state state;
  void *context;
};

int shim_nats_load(char *why, size_t size) {
  if (loaded) return 0;
  void *library = dlopen("libnats.so", RTLD_NOW | RTLD_LOCAL);
  char name[32];
  // Its soname changes with each minor version.
  for (int minor = 12; !library && minor >= 3; minor--) {
    snprintf(name, sizeof name, "libnats.so.3.%d", minor);
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) {
    snprintf(why, size, "libnats is not installed (Debian: apt install libnats3.4)");
    return -1;
  }
  const char *missing = NULL;
#define FIND(name) \
  if (!(*(void **)&nats.name = dlsym(library, "nats" #name))) missing = "nats" #name
  FIND(Options_Create);
  FIND(Options_Destroy);
  FIND(Options_SetServers);
  FIND(Options_SetName);
  FIND(Options_SetUserInfo);
  FIND(Options_SetToken);
  FIND(Options_SetUserCredentialsFromFiles);
  FIND(Options_SetSecure);
  FIND(Options_LoadCATrustedCertificates);
  FIND(Options_LoadCertificatesChain);
  FIND(Options_SetMaxReconnect);
  FIND(Options_SetReconnectWait);
  FIND(Options_SetTimeout);
  FIND(Options_SetPingInterval);
  FIND(Options_SetMaxPingsOut);
  FIND(Options_SetRetryOnFailedConnect);
  FIND(Options_SetDisconnectedCB);
  FIND(Options_SetClosedCB);
  FIND(Options_SetReconnectedCB);
  FIND(Options_SetErrorHandler);
  FIND(Connection_Connect);
  FIND(Connection_Subscribe);
  FIND(Connection_PublishMsg);
  FIND(Connection_Status);
  FIND(Connection_Destroy);
  FIND(Subscription_Destroy);
  FIND(Msg_Create);
  FIND(Msg_Destroy);
  FIND(Msg_GetSubject);
  FIND(Msg_GetData);
  FIND(Msg_GetDataLength);
  FIND(Msg_IsNoResponders);
  FIND(MsgHeader_Set);
  FIND(Status_GetText);
#undef FIND
  if (missing) {
    snprintf(why, size, "libnats has no %s", missing);
    return -1;
  }
  loaded = 1;
  return 0;
}

static void on_message(void *connection, void *subscription, void *message, void *closure) {
  (void)connection, (void)subscription;
  shim_nats *self = closure;
  self->reply(
    self->context, nats.Msg_GetSubject(message), nats.Msg_GetData(message), (size_t)nats.Msg_GetDataLength(message),
    nats.Msg_IsNoResponders(message));
  nats.Msg_Destroy(message);
}

static void on_connected(void *connection, void *closure) {
  (void)connection;
  shim_nats *self = closure;
  self->state(self->context, 1, "");
}

static void on_disconnected(void *connection, void *closure) {
  (void)connection;
  shim_nats *self = closure;
  self->state(self->context, 0, "the connection was lost");
}

// After two refused logins, or a first server that says nothing, it does not try again by itself.
static void on_closed(void *connection, void *closure) {
  (void)connection;
  shim_nats *self = closure;
  self->state(self->context, -1, "the server refused the connection");
}

static void on_error(void *connection, void *subscription, int status, void *closure) {
  (void)subscription;
  shim_nats *self = closure;
  if (nats.Connection_Status(connection) != CONNECTED) self->state(self->context, 0, nats.Status_GetText(status));
}

static int set_servers(void *options, const char *url) {
  char *copy = strdup(url), *rest = copy, *one;
  const char *servers[16];
  int count = 0, is_tls = 0;
  while ((one = strsep(&rest, ", ")) && count < 16) {
    if (!*one) continue;
    if (!strncmp(one, "tls://", 6)) is_tls = 1;
    servers[count++] = one;
  }
  int status = nats.Options_SetServers(options, servers, count);
  if (!status && is_tls) status = nats.Options_SetSecure(options, true);
  free(copy);
  return status;
}

static int set(void *options, const struct shim_nats_options *given, shim_nats *self) {
  int status = set_servers(options, given->url);
#define TRY(call) \
  if (!status) status = call
  TRY(nats.Options_SetName(options, given->name));
  if (given->username) TRY(nats.Options_SetUserInfo(options, given->username, given->password ? given->password : ""));
  if (given->token) TRY(nats.Options_SetToken(options, given->token));
  if (given->credentials_file) TRY(nats.Options_SetUserCredentialsFromFiles(options, given->credentials_file, NULL));
  if (given->ca_file) TRY(nats.Options_LoadCATrustedCertificates(options, given->ca_file));
  if (given->cert_file) TRY(nats.Options_LoadCertificatesChain(options, given->cert_file, given->key_file));
  TRY(nats.Options_SetMaxReconnect(options, -1));
  TRY(nats.Options_SetReconnectWait(options, 500));
  TRY(nats.Options_SetTimeout(options, 2000));
  TRY(nats.Options_SetPingInterval(options, 5000));
  TRY(nats.Options_SetMaxPingsOut(options, 2));
  TRY(nats.Options_SetRetryOnFailedConnect(options, true, on_connected, self));
  TRY(nats.Options_SetDisconnectedCB(options, on_disconnected, self));
  TRY(nats.Options_SetClosedCB(options, on_closed, self));
  TRY(nats.Options_SetReconnectedCB(options, on_connected, self));
  TRY(nats.Options_SetErrorHandler(options, on_error, self));
  return status;
}

shim_nats *shim_nats_connect(
  const struct shim_nats_options *given, shim_nats_reply reply, shim_nats_state state, void *context, char *why,
  size_t size) {
  shim_nats *self = calloc(1, sizeof *self);
  void *options = NULL;
  if (!self) return NULL;
  (self->reply = reply, self->state = state, self->context = context);
  int status = nats.Options_Create(&options);
  TRY(set(options, given, self));
  TRY(nats.Connection_Connect(&self->connection, options));
  if (status == 0) state(context, 1, "");
  if (status == NOT_YET_CONNECTED) {
    state(context, 0, "no server answers");
    status = 0;
  }
  char inbox[128];
  snprintf(inbox, sizeof inbox, "%s.*", given->inbox);
  TRY(nats.Connection_Subscribe(&self->subscription, self->connection, inbox, on_message, self));
#undef TRY
  nats.Options_Destroy(options);
  if (status == 0) return self;
  snprintf(why, size, "%s", nats.Status_GetText(status));
  shim_nats_close(self);
  return NULL;
}

int shim_nats_publish(
  shim_nats *self, const char *subject, const char *reply, const void *data, size_t size, const char *message_id,
  const char *content_type) {
  // While it is away the library would keep it and send it at some later time; we keep it ourselves.
  if (nats.Connection_Status(self->connection) != CONNECTED) return -1;
  void *message = NULL;
  int status = nats.Msg_Create(&message, subject, reply, data, (int)size);
  if (!status && message_id) status = nats.MsgHeader_Set(message, "Nats-Msg-Id", message_id);
  if (!status && content_type) status = nats.MsgHeader_Set(message, "Content-Type", content_type);
  if (!status) status = nats.Connection_PublishMsg(self->connection, message);
  if (message) nats.Msg_Destroy(message);
  return status;
}

const char *shim_nats_text(int status) { return status < 0 ? "not connected" : nats.Status_GetText(status); }

void shim_nats_close(shim_nats *self) {
  if (!self) return;
  if (self->subscription) nats.Subscription_Destroy(self->subscription);
  if (self->connection) nats.Connection_Destroy(self->connection);
  // Its callback threads may still be on their way out: what they were given stays, some 40 bytes.
}
