#!/usr/bin/env bash
# Debian packages that building and testing need. Says what it installs; does nothing when all are there.
set -euo pipefail
wanted=(libsqlite3-dev libssl-dev libsystemd-dev pkg-config nginx-light gcc python3)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "== installing ${missing[*]}"
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
