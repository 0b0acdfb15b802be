#include "shims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define OR_ERRNO(call) ({ __typeof__(call) r = (call); r < 0 ? -errno : r; })

int shim_epoll_create(void) { return OR_ERRNO(epoll_create1(EPOLL_CLOEXEC)); }

int shim_epoll_set(int epoll, int fd, uint32_t events, uint64_t tag, int add) {
  struct epoll_event event = {.events = events, .data.u64 = tag};
  return OR_ERRNO(epoll_ctl(epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event));
}

int shim_epoll_remove(int epoll, int fd) { return OR_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL)); }

int shim_epoll_wait(int epoll, uint64_t *tags, uint32_t *events, int max, int timeout_ms) {
  struct epoll_event found[256];
  if (max > 256) max = 256;
  int count = epoll_wait(epoll, found, max, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    tags[i] = found[i].data.u64;
    events[i] = found[i].events;
  }
  return count;
}

int shim_eventfd(void) { return OR_ERRNO(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

int shim_signalfd(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
  return failed ? -failed : OR_ERRNO(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int shim_signal_read(int fd) {
  struct signalfd_siginfo info;
  ssize_t size = read(fd, &info, sizeof info);
  return size == sizeof info ? (int)info.ssi_signo : 0;
}

int shim_accept(int fd) {
  int accepted = OR_ERRNO(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (accepted >= 0) {
    int on = 1;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return accepted;
}

static struct addrinfo *resolve(const char *host, const char *port, int flags) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  struct addrinfo *found = NULL;
  return getaddrinfo(host, port, &hints, &found) == 0 ? found : NULL;
}

int shim_listen_tcp(const char *host, const char *port, int backlog, int *bound_port) {
  struct addrinfo *at = resolve(host, port, AI_PASSIVE | AI_NUMERICHOST);
  if (!at) return -EADDRNOTAVAIL;
  int on = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failed = fd < 0 ? errno : 0;
  struct sockaddr_storage own;
  socklen_t size = sizeof own;
  if (!failed && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, at->ai_addr, at->ai_addrlen) ||
                  listen(fd, backlog) || getsockname(fd, (struct sockaddr *)&own, &size)))
    failed = errno;
  freeaddrinfo(at);
  if (failed) {
    if (fd >= 0) close(fd);
    return -failed;
  }
  *bound_port = ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
                                                : ((struct sockaddr_in *)&own)->sin_port);
  return fd;
}

static int unix_address(struct sockaddr_un *at, const char *path) {
  *at = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof at->sun_path) return -ENAMETOOLONG;
  strcpy(at->sun_path, path);
  return 0;
}

int shim_adopt_listener(int fd, int *bound_port) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) return -errno;
  *bound_port = 0;
  if (address.ss_family == AF_INET) *bound_port = ntohs(((struct sockaddr_in *)&address)->sin_port);
  if (address.ss_family == AF_INET6) *bound_port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  return fd;
}

int shim_listen_unix(const char *path, int mode) {
  struct sockaddr_un at;
  if (unix_address(&at, path) < 0) return -ENAMETOOLONG;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  unlink(path);
  mode_t before = umask(0777 & ~mode);
  int failed = bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64) ? errno : 0;
  umask(before);
  if (!failed) return fd;
  close(fd);
  return -failed;
}

static int begin_connect(int fd, const struct sockaddr *at, socklen_t size) {
  if (connect(fd, at, size) == 0 || errno == EINPROGRESS) return fd;
  int failed = errno;
  close(fd);
  return -failed;
}

int shim_connect_tcp(const char *host, const char *port) {
  struct addrinfo *at = resolve(host, port, 0);
  if (!at) return -EADDRNOTAVAIL;
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fd = begin_connect(fd, at->ai_addr, at->ai_addrlen);
  } else {
    fd = -errno;
  }
  freeaddrinfo(at);
  return fd;
}

int shim_connect_unix(const char *path) {
  struct sockaddr_un at;
  if (unix_address(&at, path) < 0) return -ENAMETOOLONG;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : begin_connect(fd, (struct sockaddr *)&at, sizeof at);
}

int shim_socket_error(int fd) {
  int failed = 0;
  socklen_t size = sizeof failed;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) ? errno : failed;
}

int shim_peer(int fd, char *text, size_t size) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  if (getpeername(fd, (struct sockaddr *)&peer, &length)) return -errno;
  if (peer.ss_family == AF_INET)
    return inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text, size) ? 0 : -errno;
  if (peer.ss_family == AF_INET6)
    return inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&peer)->sin6_addr, text, size) ? 0 : -errno;
  snprintf(text, size, "local");
  return 0;
}

ssize_t shim_recv(int fd, void *bytes, size_t size) { return OR_ERRNO(recv(fd, bytes, size, 0)); }

ssize_t shim_send(int fd, const void *bytes, size_t size) { return OR_ERRNO(send(fd, bytes, size, MSG_NOSIGNAL)); }

ssize_t shim_writev(int fd, const struct iovec *parts, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
  return OR_ERRNO(sendmsg(fd, &message, MSG_NOSIGNAL));
}

int shim_random(void *bytes, size_t size) { return getrandom(bytes, size, 0) == (ssize_t)size ? 0 : -EIO; }

void shim_settle_malloc(void) { mallopt(M_MXFAST, 0); }

static _Thread_local int on_loop_thread;
void shim_mark_loop_thread(void) { on_loop_thread = 1; }
int shim_on_loop_thread(void) { return on_loop_thread; }

struct start {
  void (*body)(void *);
  void *context;
  char name[16];
};

static void *started(void *argument) {
  struct start start = *(struct start *)argument;
  free(argument);
  pthread_setname_np(pthread_self(), start.name);
  start.body(start.context);
  return NULL;
}

int shim_start_thread(const char *name, size_t stack_bytes, void (*body)(void *), void *context) {
  struct start *start = malloc(sizeof *start);
  if (!start) return -ENOMEM;
  *start = (struct start){.body = body, .context = context};
  strncpy(start->name, name, sizeof start->name - 1);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int failed = pthread_create(&thread, &attributes, started, start);
  pthread_attr_destroy(&attributes);
  if (failed) free(start);
  return -failed;
}

void shim_lower_thread_priority(void) { setpriority(PRIO_PROCESS, (id_t)gettid(), 19); }

void shim_prefer_short_slices(void) {
  // As the kernel lays it out; glibc 2.36 has neither the call nor the structure.
  struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t slice, deadline, period; } wish = {
      .size = sizeof wish, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, (id_t)gettid()), .slice = 100000};
  syscall(SYS_sched_setattr, 0, &wish, 0);
}

int shim_lock_file(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  int failed = errno;
  close(fd);
  return -failed;
}

uint64_t shim_inode(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? ((uint64_t)status.st_dev << 48) ^ status.st_ino : 0;
}
