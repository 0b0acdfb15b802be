/* libnats' own asynchronous JetStream publisher: barenats URL STREAM SUBJECT COUNT BYTES WIDTH. Prints messages/s. */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int count, char **words) {
  if (count < 7) return 64;
  int total = atoi(words[4]), size = atoi(words[5]);
  char *body = malloc(size), id[32];
  memset(body, 'x', size);
  natsConnection *connection = NULL;
  jsCtx *stream = NULL;
  jsOptions options;
  jsStreamConfig config;
  const char *subjects[] = {words[3]};
  jsOptions_Init(&options);
  options.PublishAsync.MaxPending = atoi(words[6]);
  jsStreamConfig_Init(&config);
  config.Name = words[2];
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  natsStatus status = natsConnection_ConnectTo(&connection, words[1]);
  if (!status) status = natsConnection_JetStream(&stream, connection, &options);
  if (!status) js_AddStream(NULL, stream, &config, NULL, NULL);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < total && !status; i++) {
    jsPubOptions publish;
    jsPubOptions_Init(&publish);
    snprintf(id, sizeof id, "%ld-%d", (long)a.tv_nsec, i);
    publish.MsgId = id;
    status = js_PublishAsync(stream, words[3], body, size, &publish);
  }
  if (!status) status = js_PublishAsyncComplete(stream, NULL);
  clock_gettime(CLOCK_MONOTONIC, &b);
  if (status) return fprintf(stderr, "%s\n", natsStatus_GetText(status)), 1;
  printf("%.0f /s\n", total / (b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9));
}
