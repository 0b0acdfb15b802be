#!/usr/bin/env bash
# Measures Sidetone against a named peer or limit in the same run, medians of alternating rounds, and compares with
# Benchmarks/budgets.json: scripts/bench.sh [ROUNDS, 3] [PART …]. Takes a few minutes; wants an otherwise idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/dependencies.sh
# What only the peers need.
if ! command -v wrk > /dev/null || [ ! -e /usr/include/nats/nats.h ] || [ ! -e /usr/include/librdkafka/rdkafka.h ]; then
  apt-get update -qq
  apt-get install -y -qq wrk libnats-dev librdkafka-dev
fi
echo "== building"
swift build -c release --static-swift-stdlib --product sidetone
swift build -c release --static-swift-stdlib --product bench
out=".build/peers"
mkdir -p "$out"
for peer in memchr baresqlite baresend amiblast wsload; do
  gcc -O2 -D_GNU_SOURCE -pthread -o "$out/$peer" "Benchmarks/$peer.c" -lsqlite3 -lcrypto -lm
done
gcc -O2 -o "$out/barehooks" Benchmarks/barehooks.c -lcurl
gcc -O2 -o "$out/barenats" Benchmarks/barenats.c -lnats
gcc -O2 -o "$out/barekafka" Benchmarks/barekafka.c -lrdkafka
exec python3 Benchmarks/run.py "${1:-3}" "${@:2}"
