"""Webhooks against the outside: scripts/soak-upstream.py hooks|rebind|backlog SIDETONE [BENCH]. Part of scripts/soak.sh.

hooks    a receiver that fails in every way for a minute, held against PyPI's standardwebhooks (given by PYTHONPATH)
rebind   a name server whose answer changes between a public address and this machine (run under unshare -mn)
backlog  a million undelivered entries: restart to first delivery, memory, catch-up rate
"""
import http.server, json, os, re, signal, socket, statistics, struct, subprocess, sys, tempfile, threading, time, urllib.request

SIDETONE = sys.argv[2]


class Agent:
    def __init__(self, more, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="sidetone-soak-")
        open(f"{self.folder}/secret", "w").write("simulated")
        self.config = f"{self.folder}/s.conf"
        open(self.config, "w").write(f"[agent]\ndata_dir = {self.folder}\n[http]\nlisten = 127.0.0.1:0\n[limits]\nrelay_per_minute = 1000000\n[log]\nlevel = error\n{more}")
        self.start()

    def start(self):
        self.begun = time.perf_counter()
        self.process = subprocess.Popen([SIDETONE, "serve", "--config", self.config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready"), line
        self.url = line.split()[1]

    def key(self):
        return subprocess.run([SIDETONE, "keys", "create", "--name", "soak", "--scopes", "admin,destinations:write,events:read", "--config", self.config], capture_output=True, text=True, check=True).stdout.split()[0]

    def ask(self, key, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None, headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            return float(re.search(rf"^{name} ([\d.]+)", answer.read().decode(), re.M).group(1))

    def rss(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def hooks():
    from standardwebhooks import Webhook

    seconds = int(os.environ.get("SIDETONE_SOAK_HOOK_SECONDS", 60))
    pbx = subprocess.Popen([SIDETONE, "simulate", "asterisk", "--listen", "127.0.0.1:0", "--rate", "10", "--pace", "0.1"], stdout=subprocess.PIPE, text=True)
    port = pbx.stdout.readline().split(":")[-1].strip()
    lock, state = threading.Lock(), {"count": 0, "bad": 0, "order": [], "seen": {}, "secret": None, "calm": False}

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                state["count"] += 1
                number = state["count"]
            try:
                Webhook(state["secret"]).verify(body, {name.lower(): value for name, value in self.headers.items()})
            except Exception as error:
                print("signature:", error)
                state["bad"] += 1
            event = json.loads(body)
            temper = 0 if state["calm"] else number % 59
            if temper in (0, 40) or temper not in (3, 9, 14, 19, 23, 29, 34, 37, 45, 51):
                with lock:
                    if event["id"] not in state["seen"]:
                        state["order"].append((event["subject"], event["sequence"]))
                    state["seen"][event["id"]] = state["seen"].get(event["id"], 0) + 1
                # 40: taken, and acknowledged twice over by another word.
                return self.answer(200 if temper != 40 else 202)
            if temper in (3, 45):
                return self.answer(500)
            if temper == 9:
                time.sleep(3)
                return self.close()
            if temper == 14:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return self.close()
            if temper == 19:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
                for _ in range(30):
                    time.sleep(0.1)
                    try:
                        self.wfile.write(b"x")
                        self.wfile.flush()
                    except OSError:
                        break
                return self.close()
            if temper == 23:
                return self.answer(429, "1")
            if temper == 29:
                return self.answer(503, "Fri, 21 Nov 2025 00:00:00 GMT")
            if temper == 34:
                return self.answer(307)
            if temper == 37:
                return self.answer(410 if number > 200 else 502)
            self.wfile.write(b"\x16\x03\x01 this is no answer\r\n\r\n")
            self.close()

        def answer(self, status, after=None):
            self.send_response(status)
            self.send_header("content-length", "0")
            if after:
                self.send_header("retry-after", after)
            self.end_headers()

        def close(self):
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    # Connections that break are what this is about.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    agent = Agent("[upstream]\nallowed_networks = 127.0.0.0/8\n")
    agent.stop()
    open(agent.config, "a").write(f"[asterisk]\nport = {port}\nusername = sidetone\nsecret_file = {agent.folder}/secret\n")
    agent.start()
    key = agent.key()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    made = agent.ask(key, "POST", "/api/destinations", {"name": "it", "url": url.replace("http:", "https:"), "from": "oldest", "timeout_secs": 1, "heartbeat": False})
    state["secret"] = made["secret"]
    time.sleep(2)
    agent.ask(key, "PATCH", "/api/destinations/it", {"url": url})
    end = time.time() + seconds
    while time.time() < end:
        time.sleep(1)
        # After 410 it is stopped until somebody resumes it.
        if agent.ask(key, "GET", "/api/destinations/it")["state"] == "gone":
            agent.ask(key, "POST", "/api/destinations/it/resume")
    pbx.kill()
    events, after = [], 0
    while page := agent.ask(key, "GET", f"/relay/events?after={after}&limit=1000")["data"]:
        events += page
        after = int(page[-1]["sequence"])
    for _ in range(300):
        now = agent.ask(key, "GET", "/api/destinations/it")
        if now["lag"] == 0 and now["held"] == 0 and now["in_flight"] == 0:
            break
        agent.ask(key, "POST", "/api/destinations/it/resume")
        time.sleep(0.5)
    # What was refused for good is asked for again, and then taken.
    state["calm"] = True
    agent.ask(key, "POST", "/api/destinations/it/replay", {"status": "aside"})
    time.sleep(2)
    missing = [event for event in events if event["id"] not in state["seen"]]
    calls = {}
    for subject, sequence in state["order"]:
        calls.setdefault(subject, []).append(sequence)
    disordered = [subject for subject, order in calls.items() if order != sorted(order)]
    doubled = sum(count - 1 for count in state["seen"].values())
    print(f"{state['count']} requests for {len(events)} events in {seconds} s: {len(missing)} lost, {len(disordered)} calls out of order, {doubled} doubled, {state['bad']} signatures that standardwebhooks refused")
    agent.stop()
    sys.exit(1 if missing or disordered or state["bad"] else 0)


def rebind():
    """A name that is public when it is looked at first, and this machine when it is connected to."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    open("/run/sidetone-resolv.conf", "w").write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", "/run/sidetone-resolv.conf", "/etc/resolv.conf"], check=True)
    asked = {"count": 0}
    answers = ["192.0.2.1", "127.0.0.1", "127.0.0.1", "10.0.0.1"]

    def serve():
        while True:
            query, peer = names.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            kind = struct.unpack(">H", query[end - 4:end - 2])[0]
            head = query[:2] + b"\x81\x80" + query[4:6] + (b"\0\1" if kind == 1 else b"\0\0") + b"\0\0\0\0"
            answer = b""
            if kind == 1:
                address = answers[asked["count"] % len(answers)]
                asked["count"] += 1
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address)
            names.sendto(head + query[12:end] + answer, peer)

    threading.Thread(target=serve, daemon=True).start()
    inside = socket.create_server(("127.0.0.1", 0))
    inside.settimeout(0.2)
    # Stands for the public network, of which there is none here.
    agent = Agent("[upstream]\nheartbeat_secs = 0\nallowed_networks = 192.0.2.0/24\n")
    key = agent.key()
    port = inside.getsockname()[1]
    made = agent.ask(key, "POST", "/api/destinations", {"name": "it", "url": f"http://rebind.test:{port}/", "timeout_secs": 1})
    connections, outcomes = 0, set()
    for round in range(12):
        agent.ask(key, "PATCH", f"/api/destinations/{made['id']}", {"url": f"http://n{round}.rebind.test:{port}/"})
        answer = agent.ask(key, "POST", f"/api/destinations/{made['id']}/test")
        outcomes.add(re.sub(r"[\d.]+", "N", answer["reason"])[:70])
        try:
            inside.accept()
            connections += 1
        except TimeoutError:
            pass
    print(f"{asked['count']} answers of a rebinding name server: {connections} connections to this machine; {sorted(outcomes)}")
    agent.stop()
    sys.exit(1 if connections or asked["count"] < 4 else 0)


def backlog():
    count = int(os.environ.get("SIDETONE_SOAK_BACKLOG", 1_000_000))
    folder = tempfile.mkdtemp(prefix="sidetone-soak-", dir=os.getcwd() + "/.build")
    subprocess.run([sys.argv[3], "append", f"{folder}/journal.db", str(count), "500"], check=True, stdout=subprocess.DEVNULL)
    os.chmod(folder, 0o755)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    open(f"{folder}/nginx.conf", "w").write(f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;\nevents {{ worker_connections 512; }}\nhttp {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b;\nserver {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }} }}")
    open(f"{folder}/whsec", "w").write("whsec_" + "A" * 43 + "=")
    agent = Agent(f"[upstream]\nallowed_networks = 127.0.0.0/8\nheartbeat_secs = 0\n[sink.it]\ntype = webhook\nfrom = oldest\nurl = http://127.0.0.1:{port}/\nsecret_file = {folder}/whsec\nconcurrency = 32\nin_flight_limit = 512\n", folder)
    time.sleep(3)
    dead = agent.rss()
    agent.stop(signal.SIGKILL)
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
    time.sleep(0.5)
    firsts = []
    for _ in range(5):
        agent.start()
        while agent.metric("sidetone_deliveries_total") == 0:
            time.sleep(0.002)
        firsts.append(time.perf_counter() - agent.begun)
        agent.stop(signal.SIGKILL)
    agent.start()
    time.sleep(1)
    before, start, most = agent.metric("sidetone_deliveries_total"), time.perf_counter(), 0
    while (now := agent.metric("sidetone_deliveries_total")) < count * 0.9 - 5 * 2000 and time.perf_counter() - start < 120:
        most = max(most, agent.rss())
        time.sleep(0.1)
    rate = (now - before) / (time.perf_counter() - start)
    print(f"behind {count} undelivered entries: start to first delivery {statistics.median(firsts) * 1000:.0f} ms (median of 5, most {max(firsts) * 1000:.0f}), RSS {dead:.1f} MB while it was dead, at most {most:.1f} while catching up at {rate:.0f}/s")
    agent.stop()
    nginx.terminate()
    nginx.wait()
    subprocess.run(["rm", "-rf", folder])
    sys.exit(0 if statistics.median(firsts) <= 1 else 1)


{"hooks": hooks, "rebind": rebind, "backlog": backlog}[sys.argv[1]]()
