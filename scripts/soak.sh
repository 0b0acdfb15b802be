#!/usr/bin/env bash
# The durability tests with the stated figures, and a start behind a million entries: scripts/soak.sh
# Output is kept in docs/measurements/DATE-soak.txt. Takes about a quarter of an hour.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/dependencies.sh
mkdir -p docs/measurements
report="docs/measurements/$(date +%F)-soak.txt"
swift build --build-tests
swift build -c release --static-swift-stdlib --product sidetone
swift build -c release --static-swift-stdlib --product bench
{
  echo "soak of $(date -u +%FT%TZ), $(nproc) cores"
  echo "== kill -9, 50 times under 1000 events/s; 1000 clients with random cuts for 60 s"
  SIDETONE_SOAK_KILLS=50 SIDETONE_SOAK_CLIENTS=1000 SIDETONE_SOAK_RESUME_SECONDS=60 \
    swift test --skip-build --filter DurabilityTests 2>&1 | grep -E '^(killed|[0-9]+ clients)|Test run with|✘'
  echo "== every recording over TCP, spans compared at its own pace"
  SIDETONE_SOAK_TIMED=1 swift test --skip-build --filter WireTests 2>&1 | grep -E 'Test run with|✘' | cut -c1-300
  echo "== 100 000 random requests by two tenants, half of them on each engine"
  SIDETONE_SOAK_REQUESTS=100000 swift test --skip-build --filter LeakTests 2>&1 | grep -E 'random requests|Test run with|✘' | cut -c1-300
  echo "== 10 000 calls of a 3CX, 1 % of frames lost, doubled or swapped, 20 closes"
  SIDETONE_SOAK_THREECX_CALLS=10000 swift test --skip-build --filter FaultTests 2>&1 | grep -E ' stories|Test run with|✘' | cut -c1-300
  echo "== a 3CX's PostgreSQL away for a minute"
  SIDETONE_SOAK_DB_DOWN=60 swift test --skip-build --filter DatabaseTests 2>&1 | grep -E 'Test run with|✘' | cut -c1-300
  echo "== history over 5 000 000 records"
  python3 Benchmarks/run.py 3 history
  echo "== a dead, a slow and a good destination: kill -9, 200 times under 500 events/s; how late the good one is told"
  SIDETONE_SOAK_SINK_KILLS=200 SIDETONE_SOAK_SINK_CALLS=130 SIDETONE_SOAK_SINK_EVENTS=20000 \
    swift test --skip-build --filter UpstreamTests 2>&1 | grep -E '^(good|slow)|requests for|Test run with|✘' | cut -c1-300
  echo "== brokers killed and started again, 20 times under load"
  SIDETONE_SOAK_BROKER_KILLS=20 swift test --skip-build --filter BrokerTests 2>&1 | grep -E '^(nats|kafka)|Test run with|✘' | cut -c1-300
  echo "== a receiver that fails in every way, held against another implementation of Standard Webhooks"
  python3 -m venv .build/soak && .build/soak/bin/pip install -q standardwebhooks
  .build/soak/bin/python scripts/soak-upstream.py hooks .build/release/sidetone
  echo "== a rebinding name server"
  unshare -mn python3 scripts/soak-upstream.py rebind .build/release/sidetone
  echo "== a million undelivered entries"
  python3 scripts/soak-upstream.py backlog .build/release/sidetone .build/release/bench
  echo "== installing, upgrading, breaking and removing in fresh root file systems, one of them booted"
  scripts/host-test.sh full .build/release/sidetone | grep -vE '^  ok'
  echo "== restart behind a million entries"
  folder="$(mktemp -d)"
  .build/release/bench append "$folder/journal.db" 1000000 500
  printf '[agent]\ndata_dir = %s\n[http]\nlisten = 127.0.0.1:0\n[log]\nlevel = error\n' "$folder" > "$folder/s.conf"
  for _ in 1 2 3; do
    python3 scripts/restart-time.py .build/release/sidetone "$folder/s.conf"
  done
  rm -rf "$folder"
} | tee "$report"
