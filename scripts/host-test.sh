#!/usr/bin/env bash
# Installs, upgrades, breaks and removes the agent in fresh Debian 12 root file systems, and compares every byte of them
# before and after: scripts/host-test.sh short|full TARBALL-OR-BINARY. Needs root, for chroot.
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

[ -e "$cache" ] || {
  echo "== a Debian 12 root file system"
  mmdebstrap -q --variant=minbase \
    --include=systemd,systemd-sysv,dbus,nginx-light,curl,openssl,libcurl4,libpq5,libcrypt1,zlib1g,libstdc++6,libssl3,libsystemd0,passwd \
    bookworm "$cache"
}

# What an administrator unpacks.
make_package() {
  local to="$1"
  mkdir -p "$to/scripts" "$to/etc"
  install -m 0755 "$2" "$to/sidetone"
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
      mkdir -p "$root/var/lib/3cxpbx/Bin/nginx/conf/snippets" "$root/var/lib/3cxpbx/Instance1/Bin"
      certificate
      printf 'server {\n  listen 80;\n  listen 443 ssl;\n  ssl_certificate /etc/nginx/it.pem;\n  ssl_certificate_key /etc/nginx/it.key;\n  location / { return 200 "3cx\\n"; }\n  include /var/lib/3cxpbx/Bin/nginx/conf/snippets/*.conf;\n}\n' > "$root/etc/nginx/sites-enabled/default"
      ;;
    freepbx) mkdir -p "$root/etc/asterisk/manager.d" && touch "$root/etc/freepbx.conf" && echo '#include manager.d/*.conf' > "$root/etc/asterisk/manager.conf" ;;
    bare) rm -rf "$root/etc/nginx" "$root/usr/sbin/nginx" ;;
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
  install -m 0755 "$binary" "$root/root/sidetone/sidetone"
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

case_refusals() {
  echo "== refusals"
  fresh none
  before="$(picture)"
  rm "$root/usr/lib/x86_64-linux-gnu/libpq.so.5"* && inside ldconfig
  expect "a missing library is named" refused installer --yes
  expect "with its package" holds libpq5 "$work/said"
  expect "uninstalling what is not there" refused installer --uninstall --yes
}

for kind in none 3cx; do case_life "$kind"; done
case_failures 3cx
if [ "$form" = full ]; then
  case_life freepbx
  case_life bare
  case_failures none
  case_upgrade
  case_account
  case_repair
  case_refusals
fi
echo "$passed expectations held"
