#!/usr/bin/env bash
# The front door: sudo ./install.sh --demo runs Sidetone on this machine against a simulated PBX, in the foreground.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'END'
usage: sudo ./install.sh --demo [--rate CALLS_PER_SECOND]

  --demo   build, then run the agent against a built-in simulated Asterisk and show its calls in this terminal.
           Nothing is installed but build dependencies (named before), and nothing stays running. Ctrl-C ends it.

Installing on a PBX host (service, web server, upgrade, removal) is not in this version yet:
build with `swift build -c release --static-swift-stdlib` and start `sidetone serve --config FILE` by hand.
END
}

rate=0.7
case "${1:-}" in
  --demo) ;;
  --help | -h) usage && exit 0 ;;
  *) usage >&2 && exit 64 ;;
esac
if [ "${2:-}" = "--rate" ]; then rate="${3:?--rate needs a number}"; fi
exec scripts/demo.sh "$rate"
