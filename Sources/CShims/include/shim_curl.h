// libcurl, opened when it is first needed: its multi interface for the event loop, and connections of its own making
// (with its TLS) that somebody else speaks on.
#pragma once

#include <stddef.h>

typedef struct shim_transfer shim_transfer;

struct shim_transfer_options {
  const char *url;
  const char *method;
  // `host:port:address:port`, or null: where to connect instead of asking the resolver.
  const char *connect_to;
  // A file of certificates to trust instead of the system's, or null.
  const char *ca_file;
  // Lines, ended by a null pointer.
  const char *const *headers;
  // Null for none.
  const void *body;
  size_t body_size;
  // A client certificate and its key, or null.
  const char *cert_file;
  const char *key_file;
  // `http://proxy:3128`, or null for none.
  const char *proxy;
  // Let the first of several requests to a host find out whether they can share its connection (HTTP/2).
  int shares_connection;
  long connect_ms;
  long total_ms;
  // Connect, with TLS where the URL says so, and send nothing.
  int connect_only;
};

// Both are given the transfer's context. `body` gives 0 to stop the transfer.
typedef size_t (*shim_body_callback)(void *context, const char *bytes, size_t size);
typedef void (*shim_header_callback)(void *context, const char *bytes, size_t size);
// Asked before each connection, with the address it would go to (`sockaddr`); 0 refuses.
typedef int (*shim_address_callback)(void *context, const void *address, size_t size);
// `what`: 1 read, 2 write, 3 both, 4 forget the socket.
typedef void (*shim_socket_callback)(void *context, int socket, int what);
// The socket is about to be closed: forget it.
typedef void (*shim_closing_callback)(void *context, int socket);
typedef void (*shim_timer_callback)(void *context, long milliseconds);

// 0, or -1 with the reason in `why`.
int shim_curl_load(char *why, size_t size);
void *shim_curl_multi(
  shim_socket_callback socket, shim_closing_callback closing, shim_timer_callback timer, void *context);
shim_transfer *shim_curl_begin(
  void *multi, const struct shim_transfer_options *options, shim_body_callback body, shim_header_callback header,
  shim_address_callback address, void *context);
// Whether its closing will be told; the number of any other is forgotten as soon as libcurl says so.
int shim_curl_is_ours(int socket);
// `socket` -1: time passed. `events`: 1 readable, 2 writable, 4 error.
void shim_curl_act(void *multi, int socket, int events);
// Gives the context of a transfer that ended, with its result code, or null.
void *shim_curl_ended(void *multi, int *code);
const char *shim_curl_error(shim_transfer *transfer, int code);
long shim_curl_status(shim_transfer *transfer);
int shim_curl_socket(shim_transfer *transfer);
// Bytes moved; 0 when the peer closed; -1 not now; -2 failed.
long shim_curl_receive(shim_transfer *transfer, void *bytes, size_t size);
long shim_curl_send(shim_transfer *transfer, const void *bytes, size_t size);
void shim_curl_finish(void *multi, shim_transfer *transfer);

// POSTs that differ in their body and a few headers alone: handles are set up once and used again. An answer's body is
// let go, and of its headers only Retry-After is kept.
typedef struct shim_post shim_post;
typedef struct shim_posting shim_posting;

// `options`: as for a transfer, without its body.
shim_post *shim_post_new(const struct shim_transfer_options *options, shim_address_callback address);
// `lines`: further headers, each ended by a zero byte, `lines_size` bytes in all, at most 24. Null when out of memory.
shim_posting *shim_post_begin(
  void *multi, shim_post *post, const char *lines, size_t lines_size, const void *body, size_t body_size, void *context);
// The status, and Retry-After's value or an empty text; valid until the end.
long shim_post_status(shim_posting *posting, const char **retry_after);
// Whether the answer's body was longer than 64 KiB and was cut there: its head is the answer then, and no error.
int shim_post_cut(shim_posting *posting);
const char *shim_post_error(shim_posting *posting, int code);
void shim_post_end(void *multi, shim_posting *posting);
// Nothing may be under way.
void shim_post_free(shim_post *post);
