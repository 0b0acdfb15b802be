// A manager interface that makes calls of one event each: amiblast PORT RATE SECONDS. The caller's number is the
// microsecond at which the bytes were written, so that whoever reads the event knows how long it took.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <pthread.h>

static int client;
static volatile int is_live;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void put(const char *text, size_t size) {
  pthread_mutex_lock(&lock);
  if (write(client, text, size) < 0) exit(0);
  pthread_mutex_unlock(&lock);
}

static void *answer(void *unused) {
  char buffer[65536];
  size_t have = 0;
  for (;;) {
    ssize_t got = recv(client, buffer + have, sizeof buffer - have - 1, 0);
    if (got <= 0) exit(0);
    buffer[have += got] = 0;
    for (char *end; (end = strstr(buffer, "\r\n\r\n"));) {
      char action[64] = "", id[128] = "", reply[1024];
      *end = 0;
      sscanf(strstr(buffer, "Action: ") + 8, "%60s", action);
      sscanf(strstr(buffer, "ActionID: ") + 10, "%120s", id);
      int size = snprintf(reply, sizeof reply, "Response: Success\r\nActionID: %s\r\nEventList: start\r\nChallenge: 1\r\nCoreStartupDate: 2026-01-01\r\nCoreStartupTime: 00:00:00\r\n\r\n", id);
      put(reply, size);
      if (!strcmp(action, "Login")) size = snprintf(reply, sizeof reply, "Event: FullyBooted\r\nUptime: 1\r\n\r\n"), put(reply, size);
      else if (strcmp(action, "Ping") && strcmp(action, "Challenge") && strcmp(action, "CoreStatus"))
        size = snprintf(reply, sizeof reply, "Event: %sComplete\r\nActionID: %s\r\nEventList: Complete\r\n\r\n", action, id), put(reply, size);
      if (!strcmp(action, "ExtensionStateList")) is_live = 1;
      have -= end + 4 - buffer;
      memmove(buffer, end + 4, have + 1);
    }
  }
  return unused;
}

int main(int argc, char **argv) {
  int port = atoi(argv[1]), rate = atoi(argv[2]), seconds = atoi(argv[3]), on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(server, (struct sockaddr *)&at, sizeof at);
  listen(server, 8);
  client = accept(server, 0, 0);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  put("Asterisk Call Manager/11.0.0\r\n", 30);
  pthread_t thread;
  pthread_create(&thread, 0, answer, 0);
  while (!is_live) usleep(1000);
  char go[8];
  if (argc > 4 && !fgets(go, sizeof go, stdin)) return 1;
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < (long)rate * seconds; i++) {
    struct timespec due = {start.tv_sec + i / rate, start.tv_nsec + (i % rate) * (1000000000L / rate)};
    if (due.tv_nsec >= 1000000000L) due.tv_sec++, due.tv_nsec -= 1000000000L;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    char text[1024];
    long stamp = now.tv_sec * 1000000L + now.tv_nsec / 1000;
    int size = snprintf(text, sizeof text,
      "Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/pstn-%08lx\r\nChannelState: 4\r\nCallerIDNum: %ld\r\nContext: c\r\nExten: 202\r\nUniqueid: %ld.%ld\r\nLinkedid: %ld.%ld\r\n\r\n"
      "Event: Hangup\r\nPrivilege: call,all\r\nChannel: PJSIP/pstn-%08lx\r\nChannelState: 4\r\nCallerIDNum: %ld\r\nContext: c\r\nExten: 202\r\nUniqueid: %ld.%ld\r\nLinkedid: %ld.%ld\r\nCause: 16\r\n\r\n",
      i, stamp, now.tv_sec, i, now.tv_sec, i, i, stamp, now.tv_sec, i, now.tv_sec, i);
    put(text, size);
  }
  pause();
}
