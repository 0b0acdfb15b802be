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
echo "== shell"
shellcheck ./*.sh scripts/*.sh packaging/deb/p*
echo "== packages: what they need, the same bytes twice, lintian"
swift build -c release --static-swift-stdlib --product sidetone
for name in one two; do SIDETONE_BINARY=.build/release/sidetone scripts/package.sh ".build/dist-$name" > /dev/null; done
cmp .build/dist-one/SHA256SUMS .build/dist-two/SHA256SUMS
lintian --allow-root --fail-on error,warning .build/dist-one/*.deb
echo "== installing, in a root file system of its own"
scripts/host-test.sh short .build/release/sidetone
