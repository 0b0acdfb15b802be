/* A bare libcurl loop that posts the same bodies: barehooks URL COUNT WIDTH BYTES. Prints deliveries/s and µs of
   processor time each. Handles and headers are made once. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static size_t ignore(char *bytes, size_t one, size_t size, void *context) {
  (void)bytes, (void)context;
  return one * size;
}

int main(int count, char **words) {
  if (count < 5) return 64;
  int total = atoi(words[2]), width = atoi(words[3]), size = atoi(words[4]), begun = 0, ended = 0, running, left;
  char *body = malloc(size);
  memset(body, 'x', size);
  struct curl_slist *headers = NULL;
  const char *lines[] = {"Content-Type: application/cloudevents+json", "webhook-id: 01a1ffa6-cd84-8a5e-aa3c-324c704116ee",
    "webhook-timestamp: 1760000000", "webhook-signature: v1,av2IWwgxn2E3wu4OwyewtfuEzuNkrQrhtB4q/43+Q0I="};
  for (int i = 0; i < 4; i++) headers = curl_slist_append(headers, lines[i]);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM *multi = curl_multi_init();
  double start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
  for (; begun < width && begun < total; begun++) {
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, words[1]);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_multi_add_handle(multi, easy);
  }
  while (ended < total) {
    curl_multi_perform(multi, &running);
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left))) {
      if (message->data.result != CURLE_OK) return fprintf(stderr, "%s\n", curl_easy_strerror(message->data.result)), 1;
      CURL *easy = message->easy_handle;
      ended++;
      curl_multi_remove_handle(multi, easy);
      if (begun++ < total) curl_multi_add_handle(multi, easy);
    }
    if (ended < total) curl_multi_poll(multi, NULL, 0, 100, NULL);
  }
  double seconds = now(CLOCK_MONOTONIC) - start, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - used;
  printf("%.0f /s %.2f us\n", total / seconds, cpu / total * 1e6);
}
