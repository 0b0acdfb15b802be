"""Runs the benchmarks of scripts/bench.sh and prints one table: ours, the peer's, the ratio, the budget."""
import glob, json, os, re, signal, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIDETONE = f"{ROOT}/.build/release/sidetone"
BENCH = f"{ROOT}/.build/release/bench"
PEERS = f"{ROOT}/.build/peers"
ROUNDS = int(sys.argv[1])
BUDGETS = json.load(open(f"{ROOT}/Benchmarks/budgets.json"))
TICK = os.sysconf("SC_CLK_TCK")
rows = []


def out(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, **more).stdout


def first(text, pattern=r"[\d.]+"):
    return float(re.search(pattern, text).group(0))


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) / 1024


def report(name, ours, peer, unit, ratio=None, note=""):
    budget = BUDGETS.get(name)
    value = ours if ratio is None else ratio
    met = "" if budget is None else ("met" if (value >= budget["at_least"] if "at_least" in budget else value <= budget["at_most"]) else "MISSED")
    goal = "" if budget is None else (f">= {budget['at_least']}" if "at_least" in budget else f"<= {budget['at_most']}")
    rows.append((name, ours, peer, unit, ratio, goal, met, note))
    print(f"{name:34} {ours:>12.2f} {'' if peer is None else format(peer, '>12.2f'):>12} {unit:12} {'' if ratio is None else format(ratio, '.2f'):>6} {goal:>9} {met:7} {note}", flush=True)


def alternate(*jobs):
    """Medians of each job over the rounds, run in turn so that the machine's moods hit all alike."""
    results = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for index, job in enumerate(jobs):
            results[index].append(job())
    return [statistics.median(found) for found in results]


class Agent:
    """A release agent in a folder of its own, linked to amiblast where a rate is given."""

    def __init__(self, rate=None, seconds=0):
        self.folder = tempfile.mkdtemp(prefix="sidetone-bench-")
        self.blast = None
        link = ""
        if rate:
            self.ami = 25038
            self.blast = subprocess.Popen([f"{PEERS}/amiblast", str(self.ami), str(rate), str(seconds), "wait"], stdin=subprocess.PIPE)
            open(f"{self.folder}/secret", "w").write("x")
            link = f"[asterisk]\nport = {self.ami}\nusername = a\nsecret_file = {self.folder}/secret\n"
        self.port = 28082
        open(f"{self.folder}/s.conf", "w").write(f"[agent]\ndata_dir = {self.folder}\n[http]\nlisten = 127.0.0.1:{self.port}\n[limits]\nrelay_per_minute = 100000000\nlogin_per_minute = 1000000\n[relay]\nanonymous_read = yes\n[log]\nlevel = warning\n{link}")
        self.process = subprocess.Popen([SIDETONE, "serve", "--config", f"{self.folder}/s.conf"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready")
        self.pid = self.process.pid
        self.key = out(SIDETONE, "keys", "create", "--name", "bench", "--config", f"{self.folder}/s.conf").split()[0]
        time.sleep(0.5)

    def go(self):
        self.blast.stdin.write(b"go\n")
        self.blast.stdin.flush()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        if self.blast:
            self.blast.kill()
            self.blast.wait()
        subprocess.run(["rm", "-rf", self.folder])


# --- rooms by themselves

def decode_and_append():
    traffic = f"{ROOT}/Tests/Fixtures/asterisk/ami/burst-20.txt"
    ours, peer = alternate(lambda: first(out(BENCH, "decode", traffic, 600)), lambda: first(out(f"{PEERS}/memchr", traffic, 1500)))
    report("decode", ours, peer, "MB/s", ours / peer, "peer: a bare memchr pass")
    text = out(BENCH, "decode", traffic, 600)
    report("decode events", first(text, r"\d+(?= events/s)"), None, "events/s")
    report("decode and normalise", first(out(BENCH, "normalise", traffic, 100)), None, "events/s")
    folder = tempfile.mkdtemp(prefix="sidetone-bench-", dir=f"{ROOT}/.build")
    def append():
        text = out(BENCH, "append", f"{folder}/ours.db", 100000, 50)
        subprocess.run(f"rm -f {folder}/ours.db*", shell=True)
        return first(text, r"\d+(?= rows/s)")
    ours, peer = alternate(append, lambda: first(out(f"{PEERS}/baresqlite", f"{folder}/bare.db", 100000, 50, 620)))
    report("journal append", ours, peer, "rows/s", ours / peer, "peer: bare SQLite, same bytes, same durability")
    subprocess.run(["rm", "-rf", folder])


# --- HTTP against nginx

def http():
    agent = Agent()
    body = urllib.request.urlopen(f"http://127.0.0.1:{agent.port}/relay/health").read().decode()
    folder = tempfile.mkdtemp(prefix="sidetone-nginx-")
    open(f"{folder}/health.json", "w").write(body)
    # The worker may run as another user; sendfile and tcp_nopush as Debian's own nginx.conf sets them.
    os.chmod(folder, 0o755)
    open(f"{folder}/nginx.conf", "w").write(f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 2048; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/json;
server {{ listen 127.0.0.1:28083; root {folder}; location /return {{ return 200 '{body}'; }} }} }}""")
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
    time.sleep(0.5)
    worker = int(out("pgrep", "-P", nginx.pid).split()[0])
    rates = {"ours": [], "peer": [], "return": []}
    def load(name, port, pid, path):
        before = cpu(pid)
        text = out("wrk", "-t1", "-c64", "-d4", f"http://127.0.0.1:{port}{path}")
        count = first(text, r"\d+(?= requests in)")
        rates[name].append(first(text, r"(?<=Requests/sec:)\s+[\d.]+"))
        return (cpu(pid) - before) / count * 1e6
    ours, peer, bare = alternate(
        lambda: load("ours", agent.port, agent.pid, "/relay/health"), lambda: load("peer", 28083, worker, "/health.json"),
        lambda: load("return", 28083, worker, "/return"))
    report("HTTP CPU per request", ours, peer, "us", ours / peer, "peer: nginx, static file of the same payload")
    report("HTTP CPU against a constant", ours, bare, "us", ours / bare, "peer: nginx `return` of the same payload: no file, no handler")
    report("HTTP requests", statistics.median(rates["ours"]), statistics.median(rates["peer"]), "/s", statistics.median(rates["ours"]) / statistics.median(rates["peer"]))
    nginx.terminate()
    nginx.wait()
    agent.stop()


# --- WebSocket fan-out and latency

def load_clients(port, clients, seconds, key=None, pid=None):
    command = [f"{PEERS}/wsload", "--url", f"ws://127.0.0.1:{port}/relay/ws", "-n", str(clients), "-d", str(seconds), "--warmup", "1",
               "--key", '"from":{"raw":"', "--clock", "real", "--unit", "us", "--json"]
    if key:
        command += ["-H", f"Authorization: Bearer {key}"]
    if pid:
        command += ["--pid", str(pid)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ours_at(rate, clients, seconds, logins=0):
    agent = Agent(rate, seconds + 4)
    guessing = None
    if logins:
        guessing = subprocess.Popen(["nice", "python3", f"{ROOT}/Benchmarks/logins.py", str(agent.port), str(logins), str(seconds + 3)], stdout=subprocess.PIPE, text=True)
    load = load_clients(agent.port, clients, seconds, agent.key)
    time.sleep(0.8)
    agent.go()
    time.sleep(1.2)
    before = cpu(agent.pid)
    found = json.loads(load.communicate()[0])
    used = cpu(agent.pid) - before
    if guessing:
        guessing.communicate()
    agent.stop()
    return found, used


def bare_at(rate, clients, seconds, body=900):
    bare = subprocess.Popen([f"{PEERS}/baresend", "28084", str(clients), str(rate), str(seconds + 4), str(body)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    load = load_clients(28084, clients, seconds)
    found = json.loads(load.communicate()[0])
    text = bare.communicate()[0]
    return found, first(text)


def fan_out():
    ours_us, bare_us, ours_rate, bare_rate = [], [], [], []
    for _ in range(ROUNDS):
        found, used = ours_at(200, 1000, 5)
        ours_us.append(used / max(1, deliveries(found)) * 1e6)
        ours_rate.append(deliveries(found) / 5)
        found, each = bare_at(200, 1000, 5)
        bare_us.append(each)
        bare_rate.append(deliveries(found) / 5)
    ours, peer = statistics.median(ours_rate), statistics.median(bare_rate)
    report("fan-out deliveries", ours, peer, "/s", ours / peer, "200 events/s to 1000 clients; peer: a bare C sender")
    ours, peer = statistics.median(ours_us), statistics.median(bare_us)
    report("fan-out CPU per delivery", ours, peer, "us", ours / peer)


def deliveries(found):
    return found["deliveries_per_s"] * 5


def quantile(found, name):
    return found["lat_us"][name] / 1000


def latency():
    for clients in (20, 200):
        ours, peer, ours50 = [], [], []
        for _ in range(ROUNDS):
            found, _ = ours_at(500, clients, 5)
            ours.append(quantile(found, "p99"))
            ours50.append(quantile(found, "p50"))
            found, _ = bare_at(500, clients, 5)
            peer.append(quantile(found, "p99"))
        mine, bare = statistics.median(ours), statistics.median(peer)
        note = f"p50 {statistics.median(ours50):.2f} ms; AMI byte in to WebSocket byte out, 500 events/s"
        report(f"latency p99, {clients} clients", mine, bare, "ms", mine / bare if clients == 200 else None, note)


# --- identity

def identity():
    agent = Agent()
    def load(*more):
        before = cpu(agent.pid)
        text = out("wrk", "-t1", "-c64", "-d4", *more, f"http://127.0.0.1:{agent.port}/relay/active-calls")
        return (cpu(agent.pid) - before) / first(text, r"\d+(?= requests in)") * 1e6
    known, anonymous = alternate(lambda: load("-H", f"Authorization: Bearer {agent.key}"), load)
    report("authenticated request", known, anonymous, "us", known / anonymous, "peer: the same route without credentials")
    agent.stop()
    quiet, guessed, used = [], [], []
    for _ in range(ROUNDS):
        found, _ = ours_at(500, 20, 5)
        quiet.append(quantile(found, "p99"))
        found, cpu_seconds = ours_at(500, 20, 5, logins=50)
        guessed.append(quantile(found, "p99"))
        used.append(cpu_seconds / 5)
    mine, idle = statistics.median(guessed), statistics.median(quiet)
    report("live feed p99 during logins", mine, idle, "ms", mine / idle, "50 logins/s attempted; peer: no logins")
    report("CPU during logins", statistics.median(used), None, "cores")


# --- the PBX's own records

CDR = """CREATE TABLE cdroutput (cdr_id uuid PRIMARY KEY, call_history_id uuid, main_call_history_id uuid,
  source_entity_type varchar, source_dn_number varchar, source_dn_type varchar, source_dn_name varchar,
  source_participant_phone_number varchar, source_participant_trunk_did varchar, destination_entity_type varchar,
  destination_dn_number varchar, destination_dn_type varchar, destination_dn_name varchar,
  destination_participant_phone_number varchar, creation_method varchar, creation_forward_reason varchar,
  termination_reason varchar, termination_reason_details varchar, cdr_started_at timestamptz,
  cdr_answered_at timestamptz, cdr_ended_at timestamptz);
INSERT INTO cdroutput SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n / 2), 32, '0')::uuid,
  lpad(to_hex(n / 2), 32, '0')::uuid, 'extension', (100 + n % 40)::text, 'extension', '', '', '', 'extension',
  (100 + n * 7 % 40)::text, 'extension', '', '', 'call_init', 'none', 'dst_participant_terminated', 'none', t,
  t + interval '5 s', t + interval '65 s'
FROM generate_series(0, {rows} - 1) n, LATERAL (SELECT timestamptz '2015-01-01' + (n / 2 * 7 + n % 2) * interval '1 s' AS t) at;
CREATE INDEX ON cdroutput (cdr_started_at);
CREATE INDEX ON cdroutput (call_history_id);
ANALYZE cdroutput;"""


class Postgres:
    """A server of one's own on a socket, under a user without rights."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sidetone-pg-", dir="/tmp")
        os.chown(self.folder, 65534, 65534) if os.getuid() == 0 else None
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "sidetone", "-A", "trust", "--no-sync")
        self.run("pg_ctl", "start", "-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off")
        self.address = f"postgresql://sidetone@/postgres?host={self.folder}"

    def run(self, *command):
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        path = os.environ["PATH"] + ":" + ":".join(glob.glob("/usr/lib/postgresql/*/bin"))
        subprocess.run([*drop, *command], check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PATH": path})

    def sql(self, *commands):
        return out("psql", self.address, "-q", *[word for command in commands for word in ("-c", command)])

    def stop(self):
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")
        subprocess.run(["rm", "-rf", self.folder])


def history():
    count = int(os.environ.get("SIDETONE_BENCH_CDR_ROWS", 5_000_000))
    server = Postgres()
    server.sql(CDR.format(rows=count))
    folder = tempfile.mkdtemp(prefix="sidetone-bench-")
    open(f"{folder}/s.conf", "w").write(f"[agent]\ndata_dir = {folder}\n[http]\nlisten = 127.0.0.1:28086\n[limits]\nrelay_per_minute = 100000000\n[relay]\nanonymous_read = yes\n[log]\nlevel = error\n[threecx]\ndatabase_url = {server.address}\n")
    agent = subprocess.Popen([SIDETONE, "serve", "--config", f"{folder}/s.conf"], stdout=subprocess.PIPE, text=True)
    assert agent.stdout.readline().startswith("ready")
    def page(query):
        start = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:28086/relay/call-history?limit=100{query}") as answer:
            assert len(json.load(answer)["data"]) == 100
        return (time.perf_counter() - start) * 1000
    page("")
    newest = "SELECT * FROM cdroutput WHERE call_history_id IN (SELECT call_history_id FROM cdroutput ORDER BY cdr_started_at DESC LIMIT 300) ORDER BY cdr_started_at"
    ours, peer, deep = [], [], []
    for _ in range(ROUNDS):
        ours += [page("") for _ in range(100)]
        deep += [page(f"&end=2016-0{1 + n % 9}-10") for n in range(30)]
        said = out("psql", server.address, "-q", "-o", "/dev/null", "-c", "\\timing on", *["-c", newest] * 100)
        peer += [float(number) for number in re.findall(r"Time: ([\d.]+) ms", said)]
    p99 = lambda times: sorted(times)[len(times) * 99 // 100]
    report("history, first page p99", p99(ours), p99(peer), "ms", None, f"p50 {statistics.median(ours):.1f} ms of {count} records; peer: psql, p50 {statistics.median(peer):.1f} ms")
    report("history, a page of years ago p99", p99(deep), None, "ms")
    report("RSS after the history", rss(agent.pid), None, "MB")
    agent.send_signal(signal.SIGTERM)
    agent.wait()
    server.stop()
    subprocess.run(["rm", "-rf", folder])


# --- where events go

class Sender:
    """A release agent with one destination and a journal full of events that it has not had."""

    def __init__(self, journal, sink):
        self.folder = tempfile.mkdtemp(prefix="sidetone-bench-", dir=f"{ROOT}/.build")
        subprocess.run(["cp", journal, f"{self.folder}/journal.db"], check=True)
        open(f"{self.folder}/whsec", "w").write("whsec_" + "A" * 43 + "=")
        open(f"{self.folder}/s.conf", "w").write(f"[agent]\ndata_dir = {self.folder}\n[http]\nlisten = 127.0.0.1:28087\n[log]\nlevel = error\n[upstream]\nallowed_networks = 127.0.0.0/8\nheartbeat_secs = 0\n[sink.it]\nfrom = oldest\n{sink.format(folder=self.folder)}\n")
        self.start = time.perf_counter()
        self.process = subprocess.Popen([SIDETONE, "serve", "--config", f"{self.folder}/s.conf"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready")

    def accepted(self):
        with urllib.request.urlopen("http://127.0.0.1:28087/metrics") as answer:
            return int(re.search(r"sidetone_deliveries_total (\d+)", answer.read().decode()).group(1))

    def run(self, warm, count):
        """Deliveries/s and µs of processor time each, after the first `warm`."""
        while self.accepted() < warm:
            time.sleep(0.01)
        begun, start, used = self.accepted(), time.perf_counter(), cpu(self.process.pid)
        while (now := self.accepted()) < begun + count:
            time.sleep(0.02)
        seconds, used = time.perf_counter() - start, cpu(self.process.pid) - used
        return (now - begun) / seconds, used / (now - begun) * 1e6

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        subprocess.run(["rm", "-rf", self.folder])


def upstream():
    count = 60_000
    folder = tempfile.mkdtemp(prefix="sidetone-bench-", dir=f"{ROOT}/.build")
    journal = f"{folder}/journal.db"
    out(BENCH, "append", journal, count + 20_000, 500)
    os.chmod(folder, 0o755)
    open(f"{folder}/nginx.conf", "w").write(f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 2048; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b; client_body_in_single_buffer on;
server {{ listen 127.0.0.1:28088; location / {{ return 200; }} }} }}""")
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
    time.sleep(0.5)
    size = 760
    rates, costs = {"ours": [], "peer": []}, {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        sender = Sender(journal, "type = webhook\nurl = http://127.0.0.1:28088/\nsecret_file = {folder}/whsec\nconcurrency = 32\nin_flight_limit = 512")
        rate, cost = sender.run(5000, count)
        sender.stop()
        rates["ours"].append(rate)
        costs["ours"].append(cost)
        text = out(f"{PEERS}/barehooks", "http://127.0.0.1:28088/", count, 32, size).split()
        rates["peer"].append(float(text[0]))
        costs["peer"].append(float(text[2]))
    nginx.terminate()
    nginx.wait()
    median = statistics.median
    report("webhook deliveries", median(rates["ours"]), median(rates["peer"]), "/s", median(rates["ours"]) / median(rates["peer"]), "32 at once; peer: a bare libcurl loop, same bodies")
    report("webhook CPU per delivery", median(costs["ours"]), median(costs["peer"]), "us", median(costs["peer"]) / median(costs["ours"]), "with journal, signature, progress and log; ratio: peer's over ours")
    nats = subprocess.Popen(["nats-server", "-js", "-a", "127.0.0.1", "-p", "28089", "-sd", f"{folder}/nats"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    ours, peer = [], []
    for _ in range(ROUNDS):
        sender = Sender(journal, f"type = nats\nurl = nats://127.0.0.1:28089\nsubject = s{len(ours)}\nstream = S{len(ours)}")
        ours.append(sender.run(5000, count)[0])
        sender.stop()
        peer.append(first(out(f"{PEERS}/barenats", "nats://127.0.0.1:28089", f"B{len(peer)}", f"b{len(peer)}", count, size, 512)))
    nats.terminate()
    nats.wait()
    report("NATS publish", median(ours), median(peer), "/s", median(ours) / median(peer), "512 unacknowledged; peer: libnats' own publisher")
    kafka = subprocess.Popen([f"{PEERS}/barekafka", "bare", str(count), str(size), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = kafka.stdout.readline().strip()
    ours, peer = [], []
    for _ in range(ROUNDS):
        sender = Sender(journal, f"type = kafka\nurl = {address}\ntopic = t{len(ours)}")
        ours.append(sender.run(5000, count)[0])
        sender.stop()
        kafka.stdin.write("\n")
        kafka.stdin.flush()
        peer.append(first(kafka.stdout.readline()))
    kafka.stdin.close()
    kafka.wait()
    report("Kafka publish", median(ours), median(peer), "/s", median(ours) / median(peer), "512 unacknowledged, mock cluster; peer: librdkafka's own producer, all at once")
    subprocess.run(["rm", "-rf", folder])


# --- memory and idleness

def memory():
    agent = Agent(rate=1, seconds=0)
    time.sleep(2)
    report("RSS idle", rss(agent.pid), None, "MB")
    before, start = cpu(agent.pid), time.time()
    time.sleep(60)
    report("idle CPU over 60 s", (cpu(agent.pid) - before) / (time.time() - start) * 100, None, "% of a core")
    load = subprocess.Popen([f"{PEERS}/wsload", "--url", f"ws://127.0.0.1:{agent.port}/relay/ws", "-n", "1000", "-d", "4", "--idle", "-H", f"Authorization: Bearer {agent.key}"], stdout=subprocess.DEVNULL)
    time.sleep(3)
    report("RSS with 1000 clients", rss(agent.pid), None, "MB")
    load.kill()
    load.wait()
    agent.stop()


print(f"{'what':34} {'Sidetone':>12} {'peer':>12} {'unit':12} {'ratio':>6} {'goal':>9}", flush=True)
parts = [decode_and_append, http, latency, fan_out, identity, history, upstream, memory]
for part in [part for part in parts if len(sys.argv) < 3 or part.__name__ in sys.argv[2:]]:
    part()
missed = [row[0] for row in rows if row[6] == "MISSED"]
print(f"\n{sum(1 for row in rows if row[6] == 'met')} budgets met, {len(missed)} missed{': ' + ', '.join(missed) if missed else ''}")
sys.exit(1 if missed else 0)
