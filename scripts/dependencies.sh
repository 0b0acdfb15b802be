#!/usr/bin/env bash
# Debian packages that building (build) or building and testing (the default) need. Installs what is missing and
# says so; with --missing only names it.
set -euo pipefail
only_name=""
if [ "${1:-}" = "--missing" ]; then only_name=yes && shift; fi
wanted=(libsqlite3-dev libssl-dev libcrypt-dev libcurl4-openssl-dev zlib1g-dev libsystemd-dev pkg-config)
[ "${1:-}" = "build" ] || wanted+=(nginx-light openssl gcc python3 util-linux libpq5 chromium nats-server libnats3.4 librdkafka1 kcat mmdebstrap lintian shellcheck binutils)
if [ "${1:-}" != "build" ] && ! command -v initdb > /dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null; then
  wanted+=(postgresql)
fi
missing=()
for package in "${wanted[@]}"; do
  case "$(dpkg-query -W -f='${Status}' "$package" 2> /dev/null)" in
    *'ok installed') ;;
    *) missing+=("$package") ;;
  esac
done
if [ -n "$only_name" ]; then
  echo "${missing[*]:-all there}"
  exit 0
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "== installing ${missing[*]}"
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
