#!/bin/sh
# Makes the release that is in dist again, from the files of the commit in a folder of another
# name, with nothing in Go's cache, and compares the checksums. Then it installs the Debian
# package of this machine into a folder, where there is dpkg. Arguments: the platforms.
set -eu
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || { echo "commit first: what is compared is the commit"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/elsewhere"
git archive HEAD | tar -x -C "$work/elsewhere"
case $NFPM in *@*) # nfpm is not what is compared
	GOFLAGS='' GOBIN="$work" "${GO:-go}" install "$NFPM"
	NFPM="$work/nfpm"
	;;
esac
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
(umask 077 && cd "$work/elsewhere" && GOCACHE="$work/cache" "${GO:-go}" run ./internal/release -out dist -nfpm "$NFPM" "$@" >/dev/null)
diff dist/SHA256SUMS "$work/elsewhere/dist/SHA256SUMS"
(cd dist && sha256sum -c --quiet SHA256SUMS)
echo "made twice, and equal: $(wc -l <dist/SHA256SUMS) files"

package=$(ls dist/karat_*_"$(dpkg --print-architecture 2>/dev/null || echo none)".deb 2>/dev/null) || { echo "NOT RUN: installing the Debian package"; exit 0; }
root="$work/root"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
install_to() { dpkg --root="$root" --force-script-chrootless --force-not-root --log=/dev/null "$@" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; exit 1; }; }
install_to --install "$package"
"$root/usr/bin/karatd" --version
"$root/usr/bin/karat" --version
"$root/usr/bin/karat-events" --version
man -l "$root/usr/share/man/man1/karat-send.1.gz" >/dev/null
echo '# mine' >>"$root/etc/karat/karatd.toml"
install_to --install "$package" # an upgrade keeps what the operator has written
grep -q '^# mine' "$root/etc/karat/karatd.toml" || { echo "the configuration was written over"; exit 1; }
mkdir -p "$root/var/lib/karat" && echo wallet >"$root/var/lib/karat/wallet"
install_to --purge karat
[ ! -e "$root/usr/bin/karatd" ] && [ ! -e "$root/etc/karat/karatd.toml" ] && [ -e "$root/var/lib/karat/wallet" ] || { echo "purged too little, or data"; exit 1; }
echo "the package installs, upgrades and goes, and leaves data"
