#include "shim_curl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

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
  shim_closing_callback closing;
  shim_timer_callback timer;
  void *context;
};

// The few multi handles there are, each with its callbacks.
static struct {
  void *multi;
  struct callbacks *callbacks;
} multis[16];

static struct callbacks *of_multi(void *multi) {
  for (int i = 0; i < 16; i++)
    if (multis[i].multi == multi) return multis[i].callbacks;
  return NULL;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context) {
  (void)easy, (void)socket_context;
  struct callbacks *callbacks = context;
  callbacks->socket(callbacks->context, socket, what);
  return 0;
}

// Sockets that were opened here, and that libcurl therefore has closed here: what it makes itself (its resolver's pair)
// it closes without a word, and the number may be another's at once.
static unsigned char ours[65536];

int shim_curl_is_ours(int socket) { return socket >= 0 && socket < 65536 && ours[socket]; }

static curl_socket_t opened(struct curl_sockaddr *address) {
  int made = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (made >= 0 && made < 65536) ours[made] = 1;
  return made < 0 ? CURL_SOCKET_BAD : made;
}

static int on_close(void *context, curl_socket_t socket) {
  struct callbacks *callbacks = context;
  if (socket >= 0 && socket < 65536) ours[socket] = 0;
  callbacks->closing(callbacks->context, socket);
  return close(socket);
}

static int on_timer(CURLM *multi, long milliseconds, void *context) {
  (void)multi;
  struct callbacks *callbacks = context;
  callbacks->timer(callbacks->context, milliseconds);
  return 0;
}

void *shim_curl_multi(
  shim_socket_callback socket, shim_closing_callback closing, shim_timer_callback timer, void *context) {
  struct callbacks *callbacks = malloc(sizeof *callbacks);
  if (!callbacks) return NULL;
  *callbacks = (struct callbacks){socket, closing, timer, context};
  CURLM *multi = api.multi_init();
  for (int i = 0; i < 16; i++) {
    if (multis[i].multi) continue;
    multis[i].multi = multi;
    multis[i].callbacks = callbacks;
    break;
  }
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
  return opened(address);
}

// Connections outlive the transfer that made them, so what closing needs is the multi handle's.
static void set_closing(CURL *easy, void *multi) {
  api.easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  api.easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, of_multi(multi));
}

// What every transfer gets: verified TLS of at least 1.2, no redirects, no other protocols, no signals, no proxy that
// the environment names.
static void set_common(CURL *easy, const struct shim_transfer_options *options) {
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
  api.easy_setopt(easy, CURLOPT_NOPROXY, "");
  if (options->cert_file) api.easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
  if (options->key_file) api.easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
  if (options->shares_connection) api.easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  api.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_ms);
}

static void set_own(struct shim_transfer *transfer, const struct shim_transfer_options *options) {
  CURL *easy = transfer->easy;
  api.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  api.easy_setopt(easy, CURLOPT_PRIVATE, transfer->context);
  if (transfer->address && !options->proxy) {
    api.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    api.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  }
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
  set_common(transfer->easy, options);
  set_own(transfer, options);
  set_closing(transfer->easy, multi);
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

// --- POSTs on handles that are used again

enum { LINES = 24, RETRY_AFTER = 64, BODY = 65536 };

struct shim_post {
  struct shim_transfer_options options;
  struct curl_slist *headers;
  shim_address_callback address;
  shim_posting *free;
};

struct shim_posting {
  shim_post *post;
  CURL *easy;
  shim_posting *next;
  void *context;
  // Further headers, before those of every request; the texts are in `kept`.
  struct curl_slist lines[LINES];
  char *kept;
  size_t room;
  char retry_after[RETRY_AFTER];
  char error[CURL_ERROR_SIZE];
  // What of the answer's body may still come, and whether more came.
  size_t body_left;
  int is_cut;
};

static char *copied(const char *text) { return text ? strdup(text) : NULL; }

shim_post *shim_post_new(const struct shim_transfer_options *options, shim_address_callback address) {
  shim_post *post = calloc(1, sizeof *post);
  if (!post) return NULL;
  post->options = *options;
  post->options.url = copied(options->url);
  post->options.ca_file = copied(options->ca_file);
  post->options.cert_file = copied(options->cert_file);
  post->options.key_file = copied(options->key_file);
  post->options.proxy = copied(options->proxy);
  post->address = address;
  for (const char *const *line = options->headers; *line; line++) post->headers = api.slist_append(post->headers, *line);
  return post;
}

static size_t on_post_body(char *bytes, size_t one, size_t size, void *context) {
  (void)bytes;
  shim_posting *posting = context;
  if (one * size > posting->body_left) return posting->is_cut = 1, 0;
  posting->body_left -= one * size;
  return one * size;
}

static size_t on_post_header(char *bytes, size_t one, size_t size, void *context) {
  shim_posting *posting = context;
  size_t length = one * size, start = sizeof "retry-after:" - 1;
  if (length <= start || length - start >= RETRY_AFTER || strncasecmp(bytes, "retry-after:", start)) return length;
  memcpy(posting->retry_after, bytes + start, length - start);
  posting->retry_after[length - start] = 0;
  return length;
}

static curl_socket_t on_post_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  shim_posting *posting = context;
  if (!posting->post->address(posting->context, &address->addr, address->addrlen)) return CURL_SOCKET_BAD;
  return opened(address);
}

static shim_posting *new_posting(void *multi, shim_post *post) {
  shim_posting *posting = calloc(1, sizeof *posting);
  if (!posting) return NULL;
  posting->post = post;
  CURL *easy = posting->easy = api.easy_init();
  if (!easy) return free(posting), NULL;
  set_common(easy, &post->options);
  set_closing(easy, multi);
  api.easy_setopt(easy, CURLOPT_TIMEOUT_MS, post->options.total_ms);
  api.easy_setopt(easy, CURLOPT_POST, 1L);
  api.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_post_body);
  api.easy_setopt(easy, CURLOPT_WRITEDATA, posting);
  api.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_post_header);
  api.easy_setopt(easy, CURLOPT_HEADERDATA, posting);
  api.easy_setopt(easy, CURLOPT_ERRORBUFFER, posting->error);
  if (post->address && !post->options.proxy) {
    api.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_post_open);
    api.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, posting);
  }
  return posting;
}

// The body after the header lines, in one piece of memory that grows with the largest.
static int keep(shim_posting *posting, const char *lines, size_t lines_size, const void *body, size_t body_size) {
  if (posting->room < lines_size + body_size) {
    char *grown = realloc(posting->kept, lines_size + body_size);
    if (!grown) return -1;
    posting->kept = grown;
    posting->room = lines_size + body_size;
  }
  memcpy(posting->kept, lines, lines_size);
  memcpy(posting->kept + lines_size, body, body_size);
  int count = 0;
  for (char *line = posting->kept; line < posting->kept + lines_size && count < LINES; line += strlen(line) + 1)
    posting->lines[count++].data = line;
  for (int i = 0; i < count; i++) posting->lines[i].next = i + 1 < count ? &posting->lines[i + 1] : posting->post->headers;
  return count;
}

shim_posting *shim_post_begin(
  void *multi, shim_post *post, const char *lines, size_t lines_size, const void *body, size_t body_size,
  void *context) {
  shim_posting *posting = post->free;
  if (posting) post->free = posting->next;
  if (!posting && !(posting = new_posting(multi, post))) return NULL;
  posting->context = context;
  posting->retry_after[0] = posting->error[0] = 0;
  posting->body_left = BODY;
  posting->is_cut = 0;
  int count = keep(posting, lines, lines_size, body, body_size);
  if (count < 0) {
    posting->next = post->free;
    post->free = posting;
    return NULL;
  }
  api.easy_setopt(posting->easy, CURLOPT_PRIVATE, context);
  api.easy_setopt(posting->easy, CURLOPT_HTTPHEADER, count ? posting->lines : post->headers);
  api.easy_setopt(posting->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_size);
  api.easy_setopt(posting->easy, CURLOPT_POSTFIELDS, posting->kept + lines_size);
  if (api.multi_add_handle(multi, posting->easy) == CURLM_OK) return posting;
  posting->next = post->free;
  post->free = posting;
  return NULL;
}

long shim_post_status(shim_posting *posting, const char **retry_after) {
  long status = 0;
  *retry_after = posting->retry_after;
  api.easy_getinfo(posting->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

int shim_post_cut(shim_posting *posting) { return posting->is_cut; }

const char *shim_post_error(shim_posting *posting, int code) {
  return posting->error[0] ? posting->error : api.easy_strerror(code);
}

void shim_post_end(void *multi, shim_posting *posting) {
  api.multi_remove_handle(multi, posting->easy);
  posting->next = posting->post->free;
  posting->post->free = posting;
}

void shim_post_free(shim_post *post) {
  while (post->free) {
    shim_posting *posting = post->free;
    post->free = posting->next;
    api.easy_cleanup(posting->easy);
    free(posting->kept);
    free(posting);
  }
  api.slist_free_all(post->headers);
  free((void *)post->options.url), free((void *)post->options.ca_file), free((void *)post->options.cert_file);
  free((void *)post->options.key_file), free((void *)post->options.proxy), free(post);
}
