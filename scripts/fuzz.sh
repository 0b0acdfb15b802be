#!/usr/bin/env bash
# Builds a libFuzzer target for each codec and runs it over its corpus: scripts/fuzz.sh [SECONDS EACH, 60]
# scripts/fuzz.sh short runs the same inputs every time: a fixed seed and number of runs.
# A crash leaves its input in Fuzz/crashes and fails the script.
set -euo pipefail
cd "$(dirname "$0")/.."
effort=(-max_total_time="${1:-60}")
if [ "${1:-}" = short ]; then effort=(-seed=1 -runs=4000); fi
out=".build/fuzz"
mkdir -p "$out" Fuzz/crashes
export SWIFT_BACKTRACE=enable=no

# Each target is compiled from the very sources that ship, in one module.
build() {
  local name="$1"
  shift
  # Modules are folded into one, so that imports of our own rooms go away.
  local folder="$out/$name"
  rm -rf "$folder" && mkdir -p "$folder"
  for source in "$@" "Fuzz/$name.swift"; do
    sed -E 's/^(package |internal |public )?import (Basics|Crypto|JSON|HTTP|WebSocket|CallModel|AsteriskSource|Loop|Config)$//' "$source" \
      > "$folder/$(echo "$source" | tr '/' '_')"
  done
  swiftc -O -swift-version 6 -package-name sidetone -sanitize=fuzzer,address -parse-as-library \
    -o "$out/$name.run" "$folder"/*.swift 2> "$folder.log" || { cat "$folder.log"; exit 1; }
}

basics=(Sources/Basics/Text.swift Sources/Basics/Base64.swift Sources/Basics/Timestamp.swift Sources/Basics/UUID.swift Sources/Basics/Secret.swift)
meaning=(Sources/CallModel/{Observation,Party,Identifiers}.swift Fuzz/Stubs.swift)
build json "${basics[@]}" Sources/JSON/JSONValue.swift Sources/JSON/JSONWriter.swift
build http "${basics[@]}" Sources/HTTP/HTTPParser*.swift Sources/HTTP/HTTPGrammar.swift Sources/HTTP/HTTPRequest.swift
build websocket Sources/WebSocket/{WebSocketMessage,WebSocketDecoder,WebSocketEncoder,UTF8Validator}.swift
build ami "${basics[@]}" "${meaning[@]}" Sources/AsteriskSource/Wire/AMIDecoder.swift \
  Sources/AsteriskSource/Wire/AMIObservation.swift Sources/AsteriskSource/Wire/AMIEvent.swift
build threecx "${basics[@]}" "${meaning[@]}" Sources/Basics/Moment.swift Sources/JSON/JSONValue.swift Sources/JSON/JSONWriter.swift \
  Sources/ThreeCXSource/{CallControlSession,Conversation,IdentityWatch}.swift Sources/ThreeCXSource/CallComposer*.swift \
  Sources/ThreeCXSource/Wire/{Participant,CallControlFrame,ActiveCallRow}.swift Sources/ThreeCXSource/Database/PhoneSystemINI.swift
build ini "${basics[@]}" Sources/Config/INIDocument.swift
build cloudevents "${basics[@]}" Sources/JSON/JSONValue.swift Sources/JSON/JSONWriter.swift Sources/CloudEvents/*.swift

for name in json http websocket ami threecx ini cloudevents; do
  echo "== fuzzing $name ${effort[*]}"
  rm -rf "$out/new-$name" && mkdir -p "$out/new-$name"
  ASAN_OPTIONS=detect_leaks=0 "$out/$name.run" "${effort[@]}" -max_len=4096 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="Fuzz/crashes/$name-" "$out/new-$name" "Fuzz/corpus/$name" 2>&1 | grep -E 'stat::number_of_executed_units|ERROR|SUMMARY|Fatal' || true
  if compgen -G "Fuzz/crashes/$name-*" > /dev/null; then echo "$name crashed: see Fuzz/crashes"; exit 1; fi
done
rmdir Fuzz/crashes
