#include "shim_curl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct {
  CURLcode (*global_init)(long);
  CURL *(*easy_init)(void);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
  CURLcode (*easy_recv)(CURL *, void *, size_t, size_t *);
  CURLcode (*easy_send)(CURL *, const void *, size_t, size_t *);
  const char *(*easy_strerror)(CURLcode);
  void (*easy_cleanup)(CURL *);
  struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
  void (*slist_free_all)(struct curl_slist *);
  CURLM *(*multi_init)(void);
  CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
  CURLMcode (*multi_add_handle)(CURLM *, CURL *);
  CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
  CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
  CURLMsg *(*multi_info_read)(CURLM *, int *);
} api;

static int loaded;

struct shim_transfer {
  CURL *easy;
  struct curl_slist *headers, *connect_to;
  shim_body_callback body;
  shim_header_callback header;
  shim_address_callback address;
  void *context;
  char error[CURL_ERROR_SIZE];
};

int shim_curl_load(char *why, size_t size) {
  if (loaded) return 0;
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(why, size, "%s", dlerror());
    return -1;
  }
  const char *missing = NULL;
#define FIND(name) \
  if (!(*(void **)&api.name = dlsym(library, "curl_" #name))) missing = #name
  FIND(global_init);
  FIND(easy_init);
  FIND(easy_setopt);
  FIND(easy_getinfo);
  FIND(easy_recv);
  FIND(easy_send);
  FIND(easy_strerror);
  FIND(easy_cleanup);
  FIND(slist_append);
  FIND(slist_free_all);
  FIND(multi_init);
  FIND(multi_setopt);
  FIND(multi_add_handle);
  FIND(multi_remove_handle);
  FIND(multi_socket_action);
  FIND(multi_info_read);
#undef FIND
  if (missing || api.global_init(CURL_GLOBAL_DEFAULT)) {
    snprintf(why, size, "libcurl.so.4 has no %s", missing ? missing : "working start");
    return -1;
  }
  loaded = 1;
  return 0;
}

struct callbacks {
  shim_socket_callback socket;
  shim_timer_callback timer;
  void *context;
};

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context) {
  (void)easy, (void)socket_context;
  struct callbacks *callbacks = context;
  callbacks->socket(callbacks->context, socket, what);
  return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *context) {
  (void)multi;
  struct callbacks *callbacks = context;
  callbacks->timer(callbacks->context, milliseconds);
  return 0;
}

void *shim_curl_multi(shim_socket_callback socket, shim_timer_callback timer, void *context) {
  struct callbacks *callbacks = malloc(sizeof *callbacks);
  if (!callbacks) return NULL;
  *callbacks = (struct callbacks){socket, timer, context};
  CURLM *multi = api.multi_init();
  api.multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  api.multi_setopt(multi, CURLMOPT_SOCKETDATA, callbacks);
  api.multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  api.multi_setopt(multi, CURLMOPT_TIMERDATA, callbacks);
  return multi;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context) {
  struct shim_transfer *transfer = context;
  return transfer->body(transfer->context, bytes, one * size);
}

static size_t on_header(char *bytes, size_t one, size_t size, void *context) {
  struct shim_transfer *transfer = context;
  transfer->header(transfer->context, bytes, one * size);
  return one * size;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct shim_transfer *transfer = context;
  if (!transfer->address(transfer->context, &address->addr, address->addrlen)) return CURL_SOCKET_BAD;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// What every transfer gets: verified TLS of at least 1.2, no redirects, no other protocols, no signals, no proxy that
// the environment names.
static void set_common(struct shim_transfer *transfer, const struct shim_transfer_options *options) {
  CURL *easy = transfer->easy;
  api.easy_setopt(easy, CURLOPT_URL, options->url);
  api.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  api.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  api.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  api.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  api.easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (options->ca_file) {
    api.easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    api.easy_setopt(easy, CURLOPT_CAPATH, NULL);
  }
  api.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  api.easy_setopt(easy, CURLOPT_PROXY, options->proxy ? options->proxy : "");
  if (options->cert_file) api.easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
  if (options->key_file) api.easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
  if (options->shares_connection) api.easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  if (transfer->address && !options->proxy) {
    api.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    api.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  }
  api.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_ms);
  api.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  api.easy_setopt(easy, CURLOPT_PRIVATE, transfer->context);
  if (options->connect_to) {
    transfer->connect_to = api.slist_append(NULL, options->connect_to);
    api.easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to);
  }
}

static void set_request(struct shim_transfer *transfer, const struct shim_transfer_options *options) {
  CURL *easy = transfer->easy;
  api.easy_setopt(easy, CURLOPT_TIMEOUT_MS, options->total_ms);
  if (options->body) {
    api.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body_size);
    api.easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, options->body);
  }
  api.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, options->method);
  for (const char *const *line = options->headers; *line; line++)
    transfer->headers = api.slist_append(transfer->headers, *line);
  api.easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
  api.easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  api.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  api.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  api.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  api.easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

shim_transfer *shim_curl_begin(
  void *multi, const struct shim_transfer_options *options, shim_body_callback body, shim_header_callback header,
  shim_address_callback address, void *context) {
  struct shim_transfer *transfer = calloc(1, sizeof *transfer);
  if (!transfer) return NULL;
  transfer->easy = api.easy_init();
  if (!transfer->easy) {
    free(transfer);
    return NULL;
  }
  (transfer->body = body, transfer->header = header, transfer->address = address, transfer->context = context);
  set_common(transfer, options);
  if (options->connect_only) {
    // Without ALPN: h2 may be chosen otherwise, and nobody speaks it on the bare connection.
    api.easy_setopt(transfer->easy, CURLOPT_CONNECT_ONLY, 1L);
    api.easy_setopt(transfer->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
  } else {
    set_request(transfer, options);
  }
  if (api.multi_add_handle(multi, transfer->easy) != CURLM_OK) {
    shim_curl_finish(multi, transfer);
    return NULL;
  }
  return transfer;
}

void shim_curl_act(void *multi, int socket, int events) {
  int running;
  api.multi_socket_action(multi, socket < 0 ? CURL_SOCKET_TIMEOUT : socket, events, &running);
}

void *shim_curl_ended(void *multi, int *code) {
  int left;
  CURLMsg *message;
  while ((message = api.multi_info_read(multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    void *context = NULL;
    *code = message->data.result;
    api.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context);
    return context;
  }
  return NULL;
}

const char *shim_curl_error(shim_transfer *transfer, int code) {
  return transfer->error[0] ? transfer->error : api.easy_strerror(code);
}

long shim_curl_status(shim_transfer *transfer) {
  long status = 0;
  api.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

int shim_curl_socket(shim_transfer *transfer) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  api.easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &socket);
  return socket;
}

static long moved(CURLcode code, size_t size) {
  if (code == CURLE_OK) return (long)size;
  return code == CURLE_AGAIN ? -1 : -2;
}

long shim_curl_receive(shim_transfer *transfer, void *bytes, size_t size) {
  size_t count = 0;
  return moved(api.easy_recv(transfer->easy, bytes, size, &count), count);
}

long shim_curl_send(shim_transfer *transfer, const void *bytes, size_t size) {
  size_t count = 0;
  return moved(api.easy_send(transfer->easy, bytes, size, &count), count);
}

void shim_curl_finish(void *multi, shim_transfer *transfer) {
  api.multi_remove_handle(multi, transfer->easy);
  api.easy_cleanup(transfer->easy);
  api.slist_free_all(transfer->headers);
  api.slist_free_all(transfer->connect_to);
  free(transfer);
}
