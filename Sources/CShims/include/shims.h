// What the Glibc module does not show Swift: epoll, eventfd, signalfd, accept4 and errno-returning forms of them.
// Every function returns the system call's result, or -errno where that call would have set errno.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

int shim_epoll_create(void);
int shim_epoll_set(int epoll, int fd, uint32_t events, uint64_t tag, int add);
int shim_epoll_remove(int epoll, int fd);
int shim_epoll_wait(int epoll, uint64_t *tags, uint32_t *events, int max, int timeout_ms);

int shim_eventfd(void);
int shim_signalfd(const int *signals, int count);
int shim_signal_read(int fd);

int shim_accept(int fd);
int shim_listen_tcp(const char *host, const char *port, int backlog, int *bound_port);
int shim_listen_unix(const char *path, int mode);
// Makes a listening descriptor of another's ready for the loop; gives it back, with its port or 0.
int shim_adopt_listener(int fd, int *bound_port);
int shim_connect_tcp(const char *host, const char *port);
int shim_connect_unix(const char *path);
int shim_socket_error(int fd);
int shim_peer(int fd, char *text, size_t size);
ssize_t shim_recv(int fd, void *bytes, size_t size);
ssize_t shim_send(int fd, const void *bytes, size_t size);
ssize_t shim_writev(int fd, const struct iovec *parts, int count);

int shim_random(void *bytes, size_t size);
// Without glibc's fast bins: with them every body of a kilobyte or more has malloc merge all small free pieces first
// (malloc_consolidate; a ninth of what delivering webhooks costs).
void shim_settle_malloc(void);
void shim_mark_loop_thread(void);
int shim_on_loop_thread(void);
int shim_start_thread(const char *name, size_t stack_bytes, void (*body)(void *), void *context);
/// On Linux a nice value belongs to the thread.
void shim_lower_thread_priority(void);
/// For a thread that works for 0.05 ms and then sleeps: sooner on the processor, never more of it (Linux 6.12 on; older
/// ones and a refusal change nothing). Without it a woken thread waits for others' slices of 3 ms.
void shim_prefer_short_slices(void);
int shim_lock_file(const char *path);
uint64_t shim_inode(int fd);
