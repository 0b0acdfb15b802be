#!/usr/bin/env bash
# The demo behind install.sh --demo: plan, build, run in a folder that is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
rate="$1"

program="./sidetone"
if [ ! -x "$program" ]; then program=".build/release/sidetone" && needs_build=yes; fi
if [ -n "${needs_build:-}" ] && ! command -v swift > /dev/null; then
  echo "Sidetone is built from source here and needs the Swift toolchain (6.3 or newer) on the PATH." >&2
  exit 69
fi

echo "This is what will happen:"
if [ -n "${needs_build:-}" ]; then
  echo "  - build dependencies: $(scripts/dependencies.sh --missing build)"
  echo "  - build .build/release/sidetone (about a minute the first time)"
fi
echo "  - run a simulated Asterisk and the agent, on the loopback only, with their data in a temporary folder"
echo "  - show the calls here; Ctrl-C stops both and removes the folder"
if [ -n "${needs_build:-}" ]; then
  scripts/dependencies.sh build
  swift build -c release --static-swift-stdlib --product sidetone
fi

folder="$(mktemp -d)"
trap 'kill $(jobs -p) 2> /dev/null || true; wait 2> /dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM

# Waits until the program has said where it listens.
await() {
  for _ in $(seq 100); do
    grep -qs '^ready' "$1" && return 0
    sleep 0.1
  done
  echo "it did not start:" >&2
  cat "$1" >&2
  exit 1
}

printf 'simulated' > "$folder/secret"
"$program" simulate asterisk --listen 127.0.0.1:0 --rate "$rate" > "$folder/pbx.log" 2>&1 &
await "$folder/pbx.log"
port="$(sed -n 's/^ready .*://p' "$folder/pbx.log")"
listen="127.0.0.1:8082"
if (exec 3<> /dev/tcp/127.0.0.1/8082) 2> /dev/null; then listen="127.0.0.1:0"; fi
cat > "$folder/sidetone.conf" <<END
[agent]
data_dir = $folder/data
[http]
listen = $listen
[asterisk]
port = $port
username = sidetone
secret_file = $folder/secret
dial_context = internal
hold_context = sidetone-hold
END
"$program" serve --config "$folder/sidetone.conf" > "$folder/agent.log" 2>&1 &
await "$folder/agent.log"
key="$("$program" keys create --name demo --scopes calls:read,history:read,events:read,calls:control --config "$folder/sidetone.conf" 2> /dev/null)"
url="$(sed -n 's/^ready //p' "$folder/agent.log")"
echo
echo "ready $url"
echo "admin $url/admin/#/claim?token=$("$program" users claim --config "$folder/sidetone.conf" 2> /dev/null)"
echo "key   $key"
echo "try   curl -H 'Authorization: Bearer $key' $url/relay/active-calls"
echo
"$program" tail --after 0 --config "$folder/sidetone.conf" &
wait $!
