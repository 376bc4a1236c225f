#!/bin/sh
# Makes the release that is in dist again, from the files of the commit in a folder of another
# name, with nothing in Go's cache, and compares the checksums. Arguments: the platforms.
set -eu
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || { echo "commit first: what is compared is the commit"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/elsewhere"
git archive HEAD | tar -x -C "$work/elsewhere"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) GOCACHE="$work/cache"
export SOURCE_DATE_EPOCH GOCACHE
umask 077
(cd "$work/elsewhere" && "${GO:-go}" run ./internal/release -out dist -nfpm "$NFPM" "$@" >/dev/null)
diff dist/SHA256SUMS "$work/elsewhere/dist/SHA256SUMS"
(cd dist && sha256sum -c --quiet SHA256SUMS)
echo "made twice, and equal: $(wc -l <dist/SHA256SUMS) files"
