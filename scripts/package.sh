#!/usr/bin/env bash
# Builds what an administrator takes to the PBX: a tarball and a .deb, with checksums and an SBOM, the same bytes each
# time for the same commit: scripts/package.sh [OUT, dist]
set -euo pipefail
cd "$(dirname "$0")/.."
out="$(realpath -m "${1:-dist}")"
version="$(sed -n 's/.*static let version = "\(.*\)".*/\1/p' Sources/Agent/Agent.swift)"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 1795219200)}"
export SOURCE_DATE_EPOCH
[ -n "${SIDETONE_BINARY:-}" ] || {
  scripts/dependencies.sh build
  swift build -c release --static-swift-stdlib --product sidetone
}
binary="${SIDETONE_BINARY:-.build/release/sidetone}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/sidetone[-_]"$version"* "$out/SHA256SUMS"

# --- what is in it

strip --strip-all -o "$work/sidetone" "$binary"

# Every library that it needs is one that a host is known to have.
for library in $(objdump -p "$work/sidetone" | awk '/NEEDED/ {print $2}'); do
  grep -qw -- "$library" packaging/host-libraries.txt || {
    echo "package.sh: $library is not in packaging/host-libraries.txt" >&2
    exit 1
  }
done

sbom() {
  local package name
  printf '{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"sidetone-%s",' "$version"
  printf '"documentNamespace":"https://sidetone.invalid/spdx/%s","creationInfo":{"created":"%s","creators":["Tool: scripts/package.sh"]},"packages":[' \
    "$version-$(sha256sum < "$work/sidetone" | cut -c1-16)" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)"
  printf '{"SPDXID":"SPDXRef-sidetone","name":"sidetone","versionInfo":"%s","downloadLocation":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"%s"}]}' \
    "$version" "$(sha256sum < "$work/sidetone" | cut -d' ' -f1)"
  printf ',{"SPDXID":"SPDXRef-swift","name":"swift-runtime","versionInfo":"%s","downloadLocation":"NOASSERTION"}' \
    "$(swift --version 2> /dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -1)"
  for package in libsqlite3-dev $(cut -d' ' -f1 packaging/host-libraries.txt); do
    name="${package//+/x}"
    printf ',{"SPDXID":"SPDXRef-%s","name":"%s","versionInfo":"%s","downloadLocation":"NOASSERTION"}' \
      "$name" "$package" "$(dpkg-query -W -f='${Version}' "$package" 2> /dev/null || echo unknown)"
  done
  printf ']}\n'
}
sbom > "$work/sbom.spdx.json"

# --- the tarball

name="sidetone-$version-linux-amd64"
mkdir -p "$work/$name/scripts" "$work/$name/etc"
install -m 0755 "$work/sidetone" install.sh "$work/$name/"
cp scripts/dependencies.sh scripts/demo.sh "$work/$name/scripts/"
cp etc/sidetone.conf "$work/$name/etc/"
cp -r packaging "$work/$name/packaging"
cp README.md docs/operations.md docs/upstream.md "$work/sbom.spdx.json" "$work/$name/"
chmod -R go-w "$work/$name"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -cf - "$name" | gzip -9n > "$out/$name.tar.gz"

# --- the .deb

root="$work/deb"
install -D -m 0755 "$work/sidetone" "$root/usr/bin/sidetone"
mkdir -p "$root/lib/systemd/system" "$root/DEBIAN"
sed 's#@PREFIX@#/usr#' packaging/sidetone.service > "$root/lib/systemd/system/sidetone.service"
install -m 0644 packaging/sidetone.socket "$root/lib/systemd/system/sidetone.socket"
install -D -m 0644 packaging/sysusers.conf "$root/usr/lib/sysusers.d/sidetone.conf"
install -D -m 0644 etc/sidetone.conf "$root/etc/sidetone/sidetone.conf"
share="$root/usr/share/doc/sidetone"
install -D -m 0644 packaging/deb/copyright "$share/copyright"
install -m 0644 "$work/sbom.spdx.json" docs/operations.md docs/upstream.md "$share/"
install -D -m 0644 packaging/nginx/3cx.conf "$share/examples/nginx-3cx.conf"
install -m 0644 packaging/nginx/plain.conf "$share/examples/nginx-plain.conf"
install -D -m 0644 packaging/sidetone.8 "$root/usr/share/man/man8/sidetone.8"
mkdir -p "$root/usr/share/bash-completion/completions"
"$work/sidetone" completion bash > "$root/usr/share/bash-completion/completions/sidetone"
printf 'sidetone (%s) unstable; urgency=medium\n\n  * See https://sidetone.invalid/changelog.\n\n -- Sidetone <sidetone@sidetone.org>  %s\n' \
  "$version" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" > "$share/changelog"
gzip -9n "$share/changelog" "$root/usr/share/man/man8/sidetone.8"
sed "s/@VERSION@/$version/" packaging/deb/control > "$root/DEBIAN/control"
printf 'Installed-Size: %s\n' "$(du -sk --apparent-size "$root" | cut -f1)" >> "$root/DEBIAN/control"
install -m 0755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$root/DEBIAN/"
echo /etc/sidetone/sidetone.conf > "$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -print | sed 's#^\./##' | LC_ALL=C sort | xargs md5sum > DEBIAN/md5sums)
find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/sidetone_${version}_amd64.deb" > /dev/null

cp "$work/sbom.spdx.json" "$out/sidetone-$version.spdx.json"
(cd "$out" && sha256sum sidetone[-_]"$version"* > SHA256SUMS)
ls -l "$out"
