/* librdkafka's own idempotent producer, and the mock cluster it publishes to: barekafka TOPIC COUNT BYTES SECONDS.
   Prints the cluster's address, waits for a line, then publishes, prints messages/s, and keeps the cluster for SECONDS. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 5) return 64;
  int total = atoi(words[2]), size = atoi(words[3]);
  char *body = malloc(size), why[512], line[8];
  memset(body, 'x', size);
  rd_kafka_t *host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 3);
  printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
    rd_kafka_conf_set(conf, "enable.idempotence", "true", why, sizeof why);
    rd_kafka_conf_set(conf, "linger.ms", "2", why, sizeof why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < total;) {
      rd_kafka_resp_err_t error = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(words[1]), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(body, size),
        RD_KAFKA_V_KEY(&i, sizeof i), RD_KAFKA_V_END);
      if (!error) i++;
      rd_kafka_poll(client, error ? 10 : 0);
    }
    rd_kafka_flush(client, 60000);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.0f /s\n", total / (b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9));
    fflush(stdout);
    rd_kafka_destroy(client);
  }
}
