#!/usr/bin/env bash
# Installs what the tests need, builds everything, runs every test. The one command of the README; CI runs it too.
set -euo pipefail
cd "$(dirname "$0")"
exec scripts/test.sh "$@"
