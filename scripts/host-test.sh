#!/usr/bin/env bash
# Installs, upgrades, breaks and removes the agent in fresh Debian 12 root file systems, and compares every byte of them
# before and after: scripts/host-test.sh short|booted|full BINARY. Needs root, for chroot.
set -euo pipefail
cd "$(dirname "$0")/.."
form="${1:-short}"
binary="$(realpath "${2:-.build/release/sidetone}")"
work="$(mktemp -d)"
cache="${SIDETONE_ROOTFS:-$work/host.tar}"
mounted=""
clean() {
  for place in $mounted; do umount -l "$place" 2> /dev/null || true; done
  rm -rf "$work"
}
trap clean EXIT
passed=0

skip() {
  echo "  skipped: $*"
  exit 0
}

[ "$(id -u)" -eq 0 ] || skip "root is needed to enter another root file system"
unshare -m true 2> /dev/null || skip "this machine allows no mounts"
[ -e "$cache" ] || {
  echo "== a Debian 12 root file system"
  mmdebstrap -q --variant=minbase \
    --include=systemd,systemd-sysv,dbus,nginx-light,curl,openssl,libcurl4,libpq5,libcrypt1,zlib1g,libstdc++6,libssl3,libsystemd0,passwd \
    bookworm "$cache" || skip "no root file system could be made: is a Debian mirror within reach?"
}

# What an administrator unpacks.
make_package() {
  local to="$1"
  mkdir -p "$to/scripts" "$to/etc"
  strip -o "$to/sidetone" "$2"
  chmod 0755 "$to/sidetone"
  cp install.sh "$to/"
  cp scripts/dependencies.sh scripts/demo.sh "$to/scripts/"
  cp etc/sidetone.conf "$to/etc/"
  cp -r packaging "$to/packaging"
}

# fresh KIND: a root file system of its own at $root.
fresh() {
  root="$work/root-$((++number))"
  mkdir "$root"
  tar -C "$root" -xf "$cache"
  for place in proc dev; do
    mount --rbind "/$place" "$root/$place"
    mount --make-rslave "$root/$place"
    mounted="$root/$place $mounted"
  done
  case "$1" in
    3cx)
      inside groupadd --system phonesystem
      mkdir -p "$root/var/lib/3cxpbx/Bin/nginx/conf/snippets" "$root/var/lib/3cxpbx/Instance1/Bin"
      certificate
      # A link whose target is absolute would lead out of here.
      rm -f "$root/etc/nginx/sites-enabled/default"
      printf 'server {\n  listen 80;\n  listen 443 ssl;\n  ssl_certificate /etc/nginx/it.pem;\n  ssl_certificate_key /etc/nginx/it.key;\n  location / { return 200 "3cx\\n"; }\n  include /var/lib/3cxpbx/Bin/nginx/conf/snippets/*.conf;\n}\n' > "$root/etc/nginx/sites-enabled/default"
      ;;
    freepbx) mkdir -p "$root/etc/asterisk/manager.d" && touch "$root/etc/freepbx.conf" && echo '#include manager.d/*.conf' > "$root/etc/asterisk/manager.conf" ;;
    bare) rm -rf "$root/etc/nginx" "$root/usr/sbin/nginx" "$root/usr/bin/systemctl" ;;
  esac
  make_package "$root/root/sidetone" "$binary"
}
number=0

certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pbx.example -keyout "$root/etc/nginx/it.key" -out "$root/etc/nginx/it.pem" 2> /dev/null
}

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
installer() { inside /root/sidetone/install.sh "$@" > "$work/said" 2>&1; }
failing_at() { inside SIDETONE_INSTALL_FAIL="$1" /root/sidetone/install.sh --yes > "$work/said" 2>&1; }

# Every file, its owner, mode and bytes; the installer itself and what other programs touch by running are left out.
picture() {
  (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./root/sidetone -o -path ./run -o -path ./tmp -o -path './var/log*' -o -path ./var/lib/nginx \) -prune -o \
    -printf '%p %y %m %U %G %l\n' | LC_ALL=C sort
  find . -xdev \( -path ./proc -o -path ./dev -o -path ./root/sidetone -o -path ./run -o -path ./tmp -o -path './var/log*' -o -path ./var/lib/nginx \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
  inside dpkg -l
}

expect() {
  local name="$1"
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "  ok    $name"
  else
    echo "  FAILED $name"
    [ ! -e "$work/said" ] || sed 's/^/        /' "$work/said"
    exit 1
  fi
}

same() { diff <(printf '%s\n' "$before") <(picture) > "$work/said"; }
quietly() { "$@" > /dev/null; }
refused() { ! "$@"; }
holds() { grep -q "$1" "$2"; }

case_life() {
  local kind="$1"
  echo "== $kind: dry run, install, again, uninstall, purge"
  fresh "$kind"
  before="$(picture)"
  expect "a dry run changes nothing" installer --dry-run
  expect "not a byte" same
  expect "install" installer --yes
  expect "the program runs" quietly inside /usr/local/bin/sidetone version
  expect "its configuration is valid" quietly inside /usr/local/bin/sidetone config check --config /etc/sidetone/sidetone.conf
  expect "a token for the first administrator is shown" holds 'claimed at /admin' "$work/said"
  local installed
  installed="$(picture | grep -v 'var/lib/sidetone')"
  expect "install again" installer --yes
  expect "nothing changes the second time" diff <(echo "$installed") <(picture | grep -v 'var/lib/sidetone')
  expect "uninstall" installer --uninstall --yes
  expect "configuration and data are kept" test -e "$root/etc/sidetone/sidetone.conf" -a -d "$root/var/lib/sidetone"
  expect "the program is gone" test ! -e "$root/usr/local/bin/sidetone"
  expect "install over what was kept" installer --yes
  expect "purge" installer --uninstall --purge --yes
  expect "every byte is as before" same
}

case_failures() {
  local kind="$1" steps="user program config data unit enable"
  [ "$kind" != 3cx ] || steps="$steps nginx"
  echo "== $kind: a failure at each step is taken back"
  fresh "$kind"
  before="$(picture)"
  for step in $steps; do
    expect "$step fails" refused failing_at "$step"
    expect "every byte is as before" same
  done
}

case_upgrade() {
  echo "== upgrade, failed upgrade, downgrade"
  fresh none
  installer --yes
  echo 'timezone_of_mine = kept' >> "$root/etc/sidetone/secrets/mine"
  local old
  old="$(sha256sum < "$root/usr/local/bin/sidetone")"
  printf 'x' >> "$root/root/sidetone/sidetone"
  local new
  new="$(sha256sum < "$root/root/sidetone/sidetone")"
  expect "a failed upgrade" refused failing_at program
  expect "the program of before" test "$(sha256sum < "$root/usr/local/bin/sidetone")" = "$old"
  expect "upgrade" installer --yes
  expect "the new program is there" test "$(sha256sum < "$root/usr/local/bin/sidetone")" = "$new"
  expect "what is the administrator's is kept" test -e "$root/etc/sidetone/secrets/mine"
  strip -o "$root/root/sidetone/sidetone" "$binary" && chmod 0755 "$root/root/sidetone/sidetone"
  expect "a failed downgrade is taken back" refused failing_at program
  expect "the program of before" test "$(sha256sum < "$root/usr/local/bin/sidetone")" = "$new"
  expect "downgrade" installer --yes
  expect "the old program" test "$(sha256sum < "$root/usr/local/bin/sidetone")" = "$old"
}

case_account() {
  echo "== freepbx: an account at the manager interface"
  fresh freepbx
  before="$(picture)"
  expect "install" installer --yes --asterisk-account
  expect "the account is least-privileged" holds 'read = system,call,agent,user' "$root/etc/asterisk/manager.d/sidetone.conf"
  expect "its secret is not in the configuration" refused grep -q "$(sed -n 's/^secret = //p' "$root/etc/asterisk/manager.d/sidetone.conf")" "$root/etc/sidetone/sidetone.conf"
  expect "the configuration names it" holds '^secret_file = credential:asterisk' "$root/etc/sidetone/sidetone.conf"
  expect "purge" installer --uninstall --purge --yes
  expect "every byte is as before" same
}

case_repair() {
  echo "== 3cx: an update wipes the web server's files"
  fresh 3cx
  installer --yes
  local snippet="$root/var/lib/3cxpbx/Bin/nginx/conf/snippets/60-sidetone.conf"
  expect "the snippet is there" test -e "$snippet"
  rm "$snippet"
  inside /usr/local/bin/sidetone check --config /etc/sidetone/sidetone.conf > "$work/said" 2>&1 || true
  expect "check sees it" holds 'snippet is gone' "$work/said"
  expect "repair" inside /usr/local/bin/sidetone repair
  expect "it is back" cmp "$snippet" packaging/nginx/3cx.conf
}

case_as_phonesystem() {
  echo "== 3cx: as the PBX's own user"
  fresh 3cx
  before="$(picture)"
  expect "install" installer --yes --as-phonesystem
  expect "the drop-in says so" holds '^User=phonesystem' "$root/etc/systemd/system/sidetone.service.d/threecx.conf"
  expect "purge" installer --uninstall --purge --yes
  expect "every byte is as before" same
}

case_deb() {
  echo "== the .deb: install, upgrade, remove, purge"
  fresh none
  SIDETONE_BINARY="$binary" scripts/package.sh "$work/dist" > /dev/null
  cp "$work"/dist/sidetone_*.deb "$root/root/sidetone/"
  local before after
  before="$(picture | grep -vE ' ?\./(etc/(passwd|group|shadow|gshadow)|var/lib/(dpkg|systemd/deb)|var/cache)')"
  expect "install.sh --deb" installer --deb --yes
  expect "the program runs" quietly inside sidetone version
  expect "again" installer --deb --yes
  expect "remove keeps the configuration" quietly inside dpkg -r sidetone
  expect "it is there" test -e "$root/etc/sidetone/sidetone.conf"
  expect "purge" quietly inside dpkg -P sidetone
  after="$(picture | grep -vE ' ?\./(etc/(passwd|group|shadow|gshadow)|var/lib/(dpkg|systemd/deb)|var/cache)')"
  expect "no file of it is left" diff <(echo "$before") <(echo "$after")
  expect "nor its user" refused quietly inside getent passwd sidetone
}

case_refusals() {
  echo "== refusals"
  fresh none
  before="$(picture)"
  rm "$root/usr/lib/x86_64-linux-gnu/libpq.so.5"* && inside ldconfig
  expect "a missing library is named" refused installer --yes
  expect "with its package" holds libpq5 "$work/said"
  expect "uninstalling what is not there" refused installer --uninstall --yes
}

# Boots the root file system with systemd and runs the commands of standard input in it, their output in $work/said.
booted() {
  for place in "$root/proc" "$root/dev"; do umount -l "$place" 2> /dev/null || true; done
  { echo '#!/bin/bash'; cat; echo 'poweroff'; } > "$root/root/booted.sh"
  chmod +x "$root/root/booted.sh"
  printf '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/root/booted.sh\nStandardOutput=file:/root/said\nStandardError=file:/root/said\n' > "$root/etc/systemd/system/booted.service"
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -sf ../booted.service "$root/etc/systemd/system/multi-user.target.wants/booted.service"
  timeout 240 unshare -m bash -c "mount -t cgroup2 none /sys/fs/cgroup; systemd-nspawn -q -b -D '$root' --register=no --keep-unit --private-network --console=pipe" > "$work/console" 2>&1 || true
  cp "$root/root/said" "$work/said" 2> /dev/null || return 1
}

case_booted() {
  echo "== 3cx, booted: service, watchdog, restart, reload, socket, web server, upgrade"
  fresh 3cx
  # A program that never becomes ready.
  printf '#!/bin/sh\nsleep 1000\n' > "$root/root/never"
  if ! booted << 'END'
exec 2>&1
cd /root/sidetone
./install.sh --yes
verdict() { if "${@:2}"; then echo "VERDICT ok $1"; else echo "VERDICT FAILED $1"; fi; }
pid() { systemctl show sidetone -p MainPID --value; }
restarts() { systemctl show sidetone -p NRestarts --value; }
until_restarted() { for _ in $(seq 60); do [ "$(restarts)" -gt "$1" ] && systemctl is-active -q sidetone && return 0; sleep 1; done; return 1; }
verdict "the service is active" systemctl is-active -q sidetone
verdict "exposure is at most 1.5" awk "BEGIN { exit !($(systemd-analyze security sidetone.service | sed -n 's/.*service: \([0-9.]*\).*/\1/p') <= 1.5) }"
before=$(restarts); kill -9 "$(pid)"
verdict "killed, it comes back" until_restarted "$before"
before=$(restarts); kill -STOP "$(pid)"
verdict "stuck, the watchdog brings it back" until_restarted "$before"
sed -i 's/^level = info/level = debug/' /etc/sidetone/sidetone.conf
verdict "reload" systemctl reload sidetone
verdict "it says what it read" timeout 10 sh -c 'until journalctl -u sidetone -o cat | grep -q "configuration was read again"; do sleep 0.2; done'
verdict "its log has fields" timeout 10 sh -c 'until journalctl -u sidetone -o json | grep -q VERSION; do sleep 0.2; done'
systemctl start nginx
status() { curl -sk -o /dev/null -w '%{http_code}' "$@"; }
key=$(/usr/local/bin/sidetone keys create --name t --config /etc/sidetone/sidetone.conf 2> /dev/null)
verdict "relay through nginx" test "$(status https://127.0.0.1/relay/health)" = 200
verdict "the root stays the PBX's" test "$(curl -sk https://127.0.0.1/)" = 3cx
verdict "plain http is refused" test "$(status http://127.0.0.1/relay/health)" = 403
verdict "admin under its prefix" test "$(status https://127.0.0.1/sidetone/admin/)" = 200
verdict "the whole API under its prefix" test "$(status https://127.0.0.1/sidetone/api/openapi.json)" = 200
verdict "WebSocket" test "$(status -m 2 -N -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' -H "Authorization: Bearer $key" https://127.0.0.1/relay/ws)" = 101
verdict "SSE" sh -c "curl -skN -m 3 -H 'Accept: text/event-stream' -H 'Authorization: Bearer $key' https://127.0.0.1/relay/events -D - -o /dev/null | grep -qi 'text/event-stream'"
systemctl stop sidetone; systemctl start sidetone.socket; systemctl start sidetone
verdict "on systemd's socket" test "$(status http://127.0.0.1:8082/livez)" = 200
verdict "asked during a restart, it answers late and not never" sh -c 'systemctl restart sidetone & sleep 0.1; curl -sf -m 10 http://127.0.0.1:8082/livez'
systemctl stop sidetone.socket; systemctl restart sidetone
install -m 0755 sidetone /root/good
printf 'y' >> sidetone
begun=$(date +%s%N); down=0; last=$begun
(while :; do if curl -sf -m 1 http://127.0.0.1:8082/livez > /dev/null; then date +%s%N; fi; done > /root/alive) & watcher=$!
verdict "upgrade" ./install.sh --yes
sleep 1; kill $watcher
awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "VERDICT %s the gap is at most 2 s (%d ms)\n", (gap <= 2e9 ? "ok" : "FAILED"), gap / 1e6 }' /root/alive
install -m 0755 /root/never sidetone
verdict "an upgrade that is never ready fails" sh -c '! ./install.sh --yes'
verdict "the agent of before runs again" test "$(status http://127.0.0.1:8082/livez)" = 200
install -m 0755 /root/good sidetone
verdict "uninstall and purge" ./install.sh --uninstall --purge --yes
verdict "no unit is left" test -z "$(systemctl list-units --all 'sidetone*' --no-legend)"
END
  then
    echo "  skipped: systemd cannot be booted here"
    return 0
  fi
  grep '^VERDICT' "$work/said" | sed 's/^VERDICT /  /'
  if grep -q '^VERDICT FAILED' "$work/said" || ! grep -q 'no unit is left' "$work/said"; then
    sed 's/^/        /' "$work/said"
    exit 1
  fi
  passed=$((passed + $(grep -c '^VERDICT ok' "$work/said")))
}

if [ "$form" != booted ]; then
  for kind in none 3cx; do case_life "$kind"; done
  case_failures 3cx
fi
if [ "$form" = full ]; then
  case_life freepbx
  case_life bare
  case_failures none
  case_upgrade
  case_account
  case_repair
  case_refusals
  case_as_phonesystem
  case_deb
  case_booted
fi
if [ "$form" = booted ]; then case_booted; fi
echo "$passed expectations held"
