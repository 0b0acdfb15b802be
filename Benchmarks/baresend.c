// The limit for fan-out: a C program that does nothing but accept WebSockets and send each the same frame.
// baresend PORT CLIENTS RATE SECONDS BODY_BYTES; prints its CPU per delivery when done.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void handshake(int fd) {
  char head[4096] = {0}, key[128] = {0}, answer[512], text[256];
  unsigned char digest[20], encoded[64];
  for (size_t got = 0; !strstr(head, "\r\n\r\n");) got += recv(fd, head + got, sizeof head - got - 1, 0);
  sscanf(strcasestr(head, "sec-websocket-key:") + 18, " %100s", key);
  snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  SHA1((unsigned char *)text, strlen(text), digest);
  EVP_EncodeBlock(encoded, digest, 20);
  int size = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", encoded);
  if (write(fd, answer, size) != size) exit(1);
}

static double cpu(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
  int port = atoi(argv[1]), clients = atoi(argv[2]), rate = atoi(argv[3]), seconds = atoi(argv[4]), body = atoi(argv[5]);
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1, *fds = calloc(clients, sizeof *fds);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(server, (struct sockaddr *)&at, sizeof at);
  listen(server, 1024);
  for (int i = 0; i < clients; i++) {
    fds[i] = accept(server, 0, 0);
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    handshake(fds[i]);
  }
  sleep(1);
  char *frame = malloc(body + 64);
  memset(frame, ' ', body + 64);
  frame[0] = (char)0x81, frame[1] = 126, frame[2] = (char)(body >> 8), frame[3] = (char)body;
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  double before = cpu();
  long sent = 0;
  for (long i = 0; i < (long)rate * seconds; i++) {
    struct timespec due = {start.tv_sec + i / rate, start.tv_nsec + (i % rate) * (1000000000L / rate)};
    if (due.tv_nsec >= 1000000000L) due.tv_sec++, due.tv_nsec -= 1000000000L;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    int used = snprintf(frame + 4, 64, "{\"from\":{\"raw\":\"%ld\"", now.tv_sec * 1000000L + now.tv_nsec / 1000);
    frame[4 + used] = ' ';
    for (int c = 0; c < clients; c++) sent += send(fds[c], frame, body + 4, MSG_NOSIGNAL) > 0;
  }
  printf("%.2f us/delivery %ld deliveries\n", (cpu() - before) / sent * 1e6, sent);
  fflush(stdout);
  sleep(1);
}
