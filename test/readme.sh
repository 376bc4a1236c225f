#!/bin/sh
# Runs every command of the README's sh blocks, in their order, in one shell in
# the repository's root, as a new user would, with a home directory of its own,
# and checks that the output that the README shows is what came out.
# `make test` is left out: it takes minutes and whoever calls this has run it.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE HOME="$work"

awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' README.md |
	grep -v '^make test$' | sed "s#/tmp/#$work/#g" >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 9 ] || { echo "the README's commands were not found"; exit 1; }
sh -eux "$work/commands" >"$work/output" 2>&1 || { cat "$work/output"; exit 1; }
cat "$work/output"

# What differs from run to run is taken out on both sides: times and places.
plain() { sed -E "s#$work/#/tmp/#g; s/ in [0-9.]+m?s / /; s/ +$//"; }
plain <"$work/output" >"$work/got"
awk '/^```sh$/ { sh = 1; next } /^```$/ { if (sh) sh = 0; else on = !on; next } on && !sh && $0 != "..."' README.md |
	plain >"$work/shown"
[ -s "$work/shown" ] || { echo "the README's output was not found"; exit 1; }
missing=0
while IFS= read -r line; do
	grep -qxF -- "$line" "$work/got" || { echo "the README shows what did not come out: $line"; missing=1; }
done <"$work/shown"
[ "$missing" = 0 ] || exit 1
echo "every command of the README works and prints what it shows"
