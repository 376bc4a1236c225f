#!/usr/bin/env bash
# Runs every command of the README's sh blocks, in their order, in one shell in
# the repository's root, as a new user would, with a home directory of its own,
# and checks that the output that the README shows is what came out.
# A block that asks for a terminal of its own runs in the background; all of them
# must have ended well when the last command has. `make test` is left out: it
# takes minutes and whoever calls this has run it.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE HOME="$work"

awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0; alone = 0 } !on { next }
	/^# in a terminal of its own/ { alone = 1; next }
	alone { print $0 " & nodes=\"$nodes $!\""; next } { print }' README.md |
	grep -v '^make test$' | sed "s#/tmp/#$work/#g" >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 30 ] || { echo "the README's commands were not found"; exit 1; }
grep -q '& nodes=' "$work/commands" || { echo "the README's nodes were not found"; exit 1; }

# What ends them if a command fails half-way: their process group, which only a
# shell with job control makes, and dash has none without a terminal.
set -m
{
	echo 'nodes='
	cat "$work/commands"
	# shellcheck disable=SC2016
	echo 'for node in $nodes; do wait "$node"; done'
} >"$work/script"
sh -eux "$work/script" >"$work/output" 2>&1 &
group=$!
# A node that could not start is waited for without end.
{ sleep 900; echo "more than 15 minutes: it hangs" >>"$work/output"; kill -- -"$group"; } &
watchdog=$!
disown "$watchdog" # whose end is nobody's news
trap 'kill -- -"$group" -"$watchdog" 2>/dev/null || true; rm -rf "$work"' EXIT
wait "$group" || { cat "$work/output"; echo "a command of the README failed"; exit 1; }
cat "$work/output"

# What differs from run to run is taken out on both sides: hashes, addresses,
# times, places, numbers that are not amounts, and what the node has mined so far.
plain() {
	sed -E "s#$work/#/tmp/#g; s#/home/you/#/tmp/#g; s/[0-9a-f]{64}/HASH/g; s/(krtd|my)1p[0-9a-z]+/ADDRESS/g; s/[0-9]{7}\.[0-9]{8}/MINED/g" |
		sed -E 's/(^|[^.0-9])[0-9]+([^.0-9]|$)/\1#\2/g; s/(^|[^.0-9])[0-9]+([^.0-9]|$)/\1#\2/g; s/ +/ /g; s/ +$//'
}
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
