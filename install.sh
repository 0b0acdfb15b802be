#!/usr/bin/env bash
# The front door: shows its plan, installs the agent as a service, and takes back every change it made.
# Run it from the unpacked tarball, or from the source tree. Nothing happens before the last line.
set -euo pipefail

usage() {
  cat <<'END'
usage: sudo ./install.sh [options]

  --dry-run              print the plan and change nothing
  --yes                  do not ask
  --prefix DIR           where bin/sidetone goes (/usr/local)
  --no-nginx             leave the web server alone
  --no-service           install files only; say how to start
  --asterisk-account     add a least-privilege manager account for the agent (manager.d/sidetone.conf)
  --as-phonesystem       3CX: run as the PBX's own user, with peer access to its database; else it joins the group
  --deb                  install the .deb that lies beside this script instead
  --uninstall [--purge]  take every change back; with --purge configuration and data too
  --demo [--rate N]      run against a simulated PBX in the foreground; nothing stays but build packages, named before
END
}

here="$(cd "$(dirname "$0")" && pwd)"
etc=/etc/sidetone
manifest="$etc/install.manifest"
data=/var/lib/sidetone
prefix=/usr/local
dry="" yes="" dropin=threecx.conf nginx=yes service=yes deb="" uninstall="" purge="" account="" demo="" rate=0.7
undo=()

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

# --- what is here

find_pbx() {
  pbx=none
  if [ -d /etc/asterisk ]; then pbx=asterisk; fi
  if [ -e /etc/freepbx.conf ]; then pbx=freepbx; fi
  if [ -d /var/lib/3cxpbx ]; then pbx=3cx; fi
}

find_binary() {
  binary=""
  if [ -x "$here/sidetone" ]; then
    binary="$here/sidetone"
  elif [ -x "$here/.build/release/sidetone" ]; then
    binary="$here/.build/release/sidetone"
  elif [ "$pbx" = none ] && command -v swift > /dev/null; then
    binary=build
  else
    fail "there is no built binary beside this script. Build it elsewhere with scripts/package.sh and bring the tarball."
  fi
}

libraries_missing() {
  local package names name known
  # Read whole: a grep that ends early would end the writer with SIGPIPE, which counts as not found.
  known="$(ldconfig -p)"
  while read -r package names; do
    for name in $names; do
      [ -e "/lib64/$name" ] || grep -q "^[[:space:]]*$name " <<< "$known" || { printf '%s ' "$package" && break; }
    done
  done < "$here/packaging/host-libraries.txt"
}

reads_ini() { [ "$pbx" = 3cx ] && getent group phonesystem > /dev/null; }
has_systemd() { command -v systemctl > /dev/null; }
is_booted() { [ -d /run/systemd/system ]; }

find_snippet() {
  snippet="" snippet_source=""
  [ -n "$nginx" ] && command -v nginx > /dev/null || return 0
  if [ "$pbx" = 3cx ] && [ -d /var/lib/3cxpbx/Bin/nginx/conf/snippets ]; then
    snippet=/var/lib/3cxpbx/Bin/nginx/conf/snippets/60-sidetone.conf snippet_source="$here/packaging/nginx/3cx.conf"
  elif [ "$pbx" != 3cx ] && [ -d /etc/nginx/snippets ]; then
    snippet=/etc/nginx/snippets/sidetone.conf snippet_source="$here/packaging/nginx/plain.conf"
  fi
}

# --- the plan

plan() {
  say "Sidetone will be installed beside: $pbx"
  if [ "$binary" = build ]; then
    say "  build    from source; build packages to be installed: $("$here/scripts/dependencies.sh" --missing build)"
  fi
  say "  program  $prefix/bin/sidetone"
  say "  user     sidetone, without a shell and without rights"
  say "  config   $etc/sidetone.conf (an existing one is kept), secrets in $etc/secrets"
  say "  data     $data"
  if [ -n "$service" ] && has_systemd; then
    say "  service  /etc/systemd/system/sidetone.service (and .socket, off), enabled$(is_booted && echo ' and started')"
    if reads_ini && [ "$dropin" = threecx.conf ]; then
      say "           with the group phonesystem, to read the PBX's INI (--as-phonesystem: as that user)"
    elif reads_ini; then
      say "           as the user phonesystem, with peer access to the PBX's database"
    fi
  else
    say "  service  none: start it with $prefix/bin/sidetone serve --config $etc/sidetone.conf"
  fi
  if [ -n "$snippet" ]; then say "  nginx    $snippet, tested with nginx -t before it counts"; fi
  if [ -n "$account" ]; then say "  asterisk /etc/asterisk/manager.d/sidetone.conf, an account from this host alone"; fi
  if [ -e /etc/systemd/system/3cx-relay.service ]; then
    say "  note     a service 3cx-relay is here, and stays: \`sidetone config import FILE.env\` takes its settings over;"
    say "           then systemctl disable --now 3cx-relay, for one port has one service"
  fi
  say "  packages none"
}

agree() {
  [ -z "$yes" ] || return 0
  [ -t 0 ] || fail "nobody is here to ask; say --yes"
  printf 'Go on? [y/N] '
  read -r answer
  case "$answer" in y | Y | yes) ;; *) fail "nothing was changed" ;; esac
}

# --- changes, each with how it is taken back

# Takes everything back that this run did, the last first.
roll_back() {
  local status=$? index
  trap - EXIT
  if [ "$status" -ne 0 ] && [ ${#undo[@]} -gt 0 ]; then
    printf 'install.sh: it failed; taking back what was done\n' >&2
    for ((index = ${#undo[@]} - 1; index >= 0; index--)); do eval "${undo[index]}" || true; done
  fi
  rm -rf "${saved:-}"
  exit "$status"
}

# For tests: SIDETONE_INSTALL_FAIL names the step that is to fail after it was done.
step_done() { [ "${SIDETONE_INSTALL_FAIL:-}" != "$1" ] || fail "made to fail at $1"; }

note() { grep -qxsF "$*" "$manifest" || printf '%s\n' "$*" >> "$manifest"; }

make_folder() {
  [ -d "$1" ] && return 0
  mkdir -m "$2" "$1"
  undo+=("rmdir '$1' 2> /dev/null")
}

# put FILE FROM MODE: replaces the file in one step; what was there comes back on failure.
put() {
  if [ -e "$1" ] && cmp -s "$1" "$2" && [ "$(stat -c %a "$1")" = "${3#0}" ]; then return 0; fi
  changed=yes
  if [ -e "$1" ]; then
    cp -a "$1" "$saved/$(basename "$1").before"
    undo+=("cp -a '$saved/$(basename "$1").before' '$1.new' && mv '$1.new' '$1'")
  else
    undo+=("rm -f '$1'")
    note "file $1"
  fi
  install -m "$3" "$2" "$1.new"
  mv "$1.new" "$1"
}

do_user() {
  if ! getent passwd sidetone > /dev/null; then
    local file
    mkdir -m 0700 "$etc/accounts"
    for file in passwd group shadow gshadow; do
      for tail in "" -; do if [ -e "/etc/$file$tail" ]; then cp -a "/etc/$file$tail" "$etc/accounts/$file$tail"; fi; done
    done
    undo+=("remove_user; rm -rf '$etc/accounts'")
    useradd --system --user-group --no-create-home --home-dir "$data" --shell /usr/sbin/nologin --comment "Sidetone PBX agent" sidetone
    note "user sidetone"
  fi
  step_done user
}

# Where nobody else has changed the accounts, they are as they were to the byte.
remove_user() {
  local file tail
  getent passwd sidetone > /dev/null && userdel sidetone 2> /dev/null
  getent group sidetone > /dev/null && groupdel sidetone 2> /dev/null
  [ -d "$etc/accounts" ] || return 0
  for file in passwd group shadow gshadow; do
    cmp -s "/etc/$file" "$etc/accounts/$file" || continue
    for tail in "" -; do
      if [ -e "$etc/accounts/$file$tail" ]; then cp -a "$etc/accounts/$file$tail" "/etc/$file$tail"; else rm -f "/etc/$file$tail"; fi
    done
  done
}

do_files() {
  local parent
  for parent in "$prefix" "$prefix/bin"; do
    [ -d "$parent" ] || { make_folder "$parent" 0755 && note "dir $parent"; }
  done
  changed=""
  if [ -e "$prefix/bin/sidetone" ] && ! cmp -s "$binary" "$prefix/bin/sidetone"; then
    cp -a "$prefix/bin/sidetone" "$etc/sidetone.previous"
    undo+=("rm -f '$etc/sidetone.previous'")
  fi
  put "$prefix/bin/sidetone" "$binary" 0755
  step_done program
  if [ ! -e "$etc/sidetone.conf" ]; then
    install -m 0644 "$here/etc/sidetone.conf" "$etc/sidetone.conf"
    undo+=("rm -f '$etc/sidetone.conf'")
  fi
  step_done config
  if [ ! -d "$data" ]; then
    install -d -m 0700 -o sidetone -g sidetone "$data"
    undo+=("rm -rf '$data'")
  fi
  step_done data
}

do_service() {
  [ -n "$service" ] && has_systemd || return 0
  local unit=/etc/systemd/system/sidetone.service
  sed "s#@PREFIX@#$prefix#" "$here/packaging/sidetone.service" > "$saved/unit"
  put "$unit" "$saved/unit" 0644
  if reads_ini; then
    if [ ! -d "$unit.d" ]; then make_folder "$unit.d" 0755 && note "dir $unit.d"; fi
    put "$unit.d/threecx.conf" "$here/packaging/$dropin" 0644
  fi
  put /etc/systemd/system/sidetone.socket "$here/packaging/sidetone.socket" 0644
  step_done unit
  if [ ! -e /etc/systemd/system/multi-user.target.wants/sidetone.service ]; then
    if [ ! -d /etc/systemd/system/multi-user.target.wants ]; then note "dir /etc/systemd/system/multi-user.target.wants"; fi
    systemctl enable -q sidetone.service
    undo+=("systemctl disable -q sidetone.service")
    note "enabled sidetone.service"
  fi
  step_done enable
  is_booted || return 0
  systemctl daemon-reload
  undo+=("systemctl daemon-reload")
  start_service
  step_done start
}

# Type=notify: systemctl returns when the agent is ready, or has failed to be.
start_service() {
  if systemctl is-active -q sidetone.service && [ -z "$changed" ]; then return 0; fi
  if ! systemctl is-active -q sidetone.service; then
    undo+=("systemctl stop sidetone.service 2> /dev/null; systemctl reset-failed sidetone.service 2> /dev/null")
  fi
  timeout 20 systemctl restart sidetone.service && return 0
  systemctl --no-pager status sidetone.service >&2 || true
  fail "the agent was not ready within 20 s; see journalctl -u sidetone"
}

do_nginx() {
  [ -n "$snippet" ] || return 0
  if ! nginx -t -q 2> /dev/null; then
    say "nginx -t fails already, before anything was touched: the web server is left alone. Mend it, then run this again."
    return 0
  fi
  local before="$changed"
  changed=""
  install -m 0644 "$snippet_source" "$etc/nginx.conf"
  undo+=("rm -f '$etc/nginx.conf'")
  put "$snippet" "$snippet_source" 0644
  note "snippet $snippet"
  nginx -t -q || fail "nginx does not take $snippet"
  if [ -n "$changed" ]; then reload_nginx; fi
  changed="$before"
  step_done nginx
}

reload_nginx() { if is_booted; then systemctl reload nginx; else nginx -s reload 2> /dev/null || true; fi; }

do_account() {
  [ -n "$account" ] || return 0
  [ -d /etc/asterisk ] || fail "there is no /etc/asterisk for --asterisk-account"
  local secret place=/etc/asterisk/manager.d/sidetone.conf
  if [ ! -d /etc/asterisk/manager.d ]; then make_folder /etc/asterisk/manager.d 0755 && note "dir /etc/asterisk/manager.d"; fi
  if [ ! -e "$place" ]; then
    secret="$(od -An -tx1 -N 24 /dev/urandom | tr -d ' \n')"
    sed "s/@SECRET@/$secret/" "$here/packaging/asterisk-manager.conf" > "$saved/manager"
    put "$place" "$saved/manager" 0640
    chown --reference=/etc/asterisk/manager.conf "$place" 2> /dev/null || true
    (umask 077 && printf '%s' "$secret" > "$etc/secrets/asterisk")
    undo+=("rm -f '$etc/secrets/asterisk'")
    sed -i "/^\[asterisk\]/,/^\[/{s/^username =.*/username = sidetone/;}" "$etc/sidetone.conf"
    sed -i "/^username = sidetone/,/^secret_file/{s#^secret_file =.*#secret_file = credential:asterisk#;}" "$etc/sidetone.conf"
  fi
  grep -qs 'manager\.d/' /etc/asterisk/manager.conf || say "add to /etc/asterisk/manager.conf: #include manager.d/*.conf"
  say "then: asterisk -rx 'manager reload'"
  step_done account
}

# --- install

do_install() {
  [ "$(id -u)" -eq 0 ] || fail "root is needed: sudo ./install.sh"
  find_binary
  local missing
  missing="$(libraries_missing)"
  if [ -n "$missing" ] && [ "$binary" != build ]; then
    fail "this host lacks libraries of: $missing. Nothing was changed. $([ "$pbx" = 3cx ] && echo 'A 3CX host gets no packages.' || echo "apt install $missing")"
  fi
  find_snippet
  plan
  if [ -n "$dry" ]; then return 0; fi
  agree
  if [ "$binary" = build ]; then
    "$here/scripts/dependencies.sh" build
    (cd "$here" && swift build -c release --static-swift-stdlib --product sidetone)
    binary="$here/.build/release/sidetone"
  fi
  trap roll_back EXIT
  saved="$(mktemp -d)"
  make_folder "$etc" 0755
  make_folder "$etc/secrets" 0700
  if [ ! -e "$manifest" ]; then
    install -m 0600 /dev/null "$manifest"
    undo+=("rm -f '$manifest'")
  else
    cp -a "$manifest" "$saved/manifest"
    undo+=("cp -a '$saved/manifest' '$manifest'")
  fi
  # The first to be noted is the last to be done: the agent of before starts when all of it is back.
  if is_booted && systemctl is-active -q sidetone.service; then
    undo+=("systemctl daemon-reload; timeout 20 systemctl restart sidetone.service")
  fi
  do_user
  do_files
  do_account
  do_service
  do_nginx
  undo=()
  rm -rf "$saved"
  trap - EXIT
  finish
}

finish() {
  local program="$prefix/bin/sidetone" as_user="setpriv --reuid=sidetone --regid=sidetone --clear-groups"
  say ""
  if is_booted && [ -n "$service" ]; then as_user=""; fi
  if [ "$($as_user "$program" users list --config "$etc/sidetone.conf" 2> /dev/null | wc -l)" -eq 0 ]; then
    say "The first administrator is claimed at /admin/#/claim with this token, within a day:"
    say "  $($as_user "$program" users claim --config "$etc/sidetone.conf" 2> /dev/null)"
  fi
  $as_user "$program" check --config "$etc/sidetone.conf" || true
  say ""
  say "Look next at: $etc/sidetone.conf · $program status · journalctl -u sidetone"
  if [ "$snippet" = /etc/nginx/snippets/sidetone.conf ]; then say "nginx: add \`include snippets/sidetone.conf;\` to your server block with TLS"; fi
  if ! is_booted || [ -z "$service" ]; then
    say "No systemd runs here. Start it by hand: $as_user $program serve --config $etc/sidetone.conf"
  fi
}

# --- and gone

do_uninstall() {
  [ "$(id -u)" -eq 0 ] || fail "root is needed: sudo ./install.sh --uninstall"
  [ -e "$manifest" ] || fail "there is no $manifest: nothing was installed by this script"
  say "Sidetone will be removed: $(grep -c . "$manifest") changes are taken back$([ -n "$purge" ] && echo ', configuration and data too')"
  if [ -n "$dry" ]; then
    cat "$manifest"
    return 0
  fi
  agree
  find_pbx
  local kind what snippet_gone=""
  if is_booted; then systemctl stop sidetone.socket sidetone.service 2> /dev/null || true; fi
  while read -r kind what; do
    case "$kind" in
      enabled) systemctl disable -q "$what" 2> /dev/null || true ;;
      snippet) rm -f "$what" && snippet_gone=yes ;;
      file) rm -f "$what" ;;
      dir) rmdir "$what" 2> /dev/null || true ;;
      user) if [ -n "$purge" ]; then
        rm -rf "$data"
        remove_user
      fi ;;
    esac
  done < <(tac "$manifest")
  rm -f "$etc/nginx.conf" "$etc/sidetone.previous"
  if is_booted; then
    systemctl daemon-reload
    systemctl reset-failed sidetone.service 2> /dev/null || true
  fi
  if [ -n "$snippet_gone" ] && command -v nginx > /dev/null; then
    if nginx -t -q 2> /dev/null; then reload_nginx; fi
  fi
  if [ -n "$purge" ]; then
    rm -rf "$etc" "$data"
    say "Nothing of it is left."
  else
    grep '^user ' "$manifest" > "$manifest.left" || true
    mv "$manifest.left" "$manifest"
    say "Kept: $etc and $data. ./install.sh --uninstall --purge removes them too."
  fi
}

do_deb() {
  local package
  package="$(find "$here" -maxdepth 2 -name 'sidetone_*.deb' | sort | tail -1)"
  [ -n "$package" ] || fail "no sidetone_*.deb lies beside this script; scripts/package.sh makes one"
  say "will run: dpkg -i $package"
  [ -z "$dry" ] || return 0
  agree
  dpkg -i "$package"
}

main() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --dry-run) dry=yes ;;
      --yes) yes=yes ;;
      --prefix) prefix="${2:?--prefix needs a folder}" && shift ;;
      --no-nginx) nginx="" ;;
      --no-service) service="" ;;
      --asterisk-account) account=yes ;;
      --as-phonesystem) dropin=threecx-user.conf ;;
      --deb) deb=yes ;;
      --uninstall) uninstall=yes ;;
      --purge) purge=yes ;;
      --demo) demo=yes ;;
      --rate) rate="${2:?--rate needs a number}" && shift ;;
      --help | -h) usage && exit 0 ;;
      *) usage >&2 && exit 64 ;;
    esac
    shift
  done
  if [ -n "$demo" ]; then exec "$here/scripts/demo.sh" "$rate"; fi
  find_pbx
  if [ -n "$uninstall" ]; then do_uninstall; elif [ -n "$deb" ]; then do_deb; else do_install; fi
}

main "$@"
