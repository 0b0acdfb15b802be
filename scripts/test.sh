#!/usr/bin/env bash
# The work behind ./test.sh: dependencies, format, build, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/dependencies.sh
echo "== format"
swift format lint --strict --recursive Package.swift Sources Tests Fuzz
echo "== fuzzing, short form"
scripts/fuzz.sh short
echo "== tests"
swift build --build-tests
swift test --skip-build
