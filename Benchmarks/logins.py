"""Tries logins at a steady rate, as somebody guessing would: logins.py PORT RATE SECONDS. Prints the answers by status."""
import collections, http.client, json, sys, threading, time

port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
answers = collections.Counter()


def attempt(number):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"username": f"user{number % 7}", "password": f"guess-number-{number}"})
    try:
        line.request("POST", "/admin/api/login", body, {"Content-Type": "application/json"})
        answers[line.getresponse().status] += 1
    except OSError as error:
        answers[type(error).__name__] += 1
    line.close()


begin = time.monotonic()
threads = []
for number in range(int(rate * seconds)):
    time.sleep(max(0, begin + number / rate - time.monotonic()))
    threads.append(threading.Thread(target=attempt, args=(number,), daemon=True))
    threads[-1].start()
for thread in threads:
    thread.join(10)
print(dict(answers))
