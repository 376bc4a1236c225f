#!/bin/sh
# Runs `go test` and counts the cases that its tests compared with the answers of
# others; no case is a failure. They are in testdata/vectors, or in the folder that
# KARAT_VECTORS names: test/vectors.sh [sum|list ARGUMENTS OF GO TEST]
#
# The name of the tally's file is new in each run, so no test that reads it from
# the environment is answered from the cache.
set -eu
[ $# -gt 0 ] || set -- list -run 'Vectors|Core' ./...
how=$1
shift
cd "$(dirname "$0")/.."
KARAT_VECTORS_TALLY=$(mktemp)
export KARAT_VECTORS_TALLY
trap 'rm -f "$KARAT_VECTORS_TALLY"' EXIT
status=0
# Modules that `go test ./...` leaves out: tests against others' code, and a program.
for module in test/oracle cmd/karat-events; do
	[ "$how" != sum ] || (cd "$module" && go test -timeout 20m ./...) || status=$?
done
go test -timeout 20m "$@" || status=$?
sort "$KARAT_VECTORS_TALLY" | awk -F '\t' -v how="$how" '
	how == "list" || $4 ~ /^NOT RUN/ { printf "%-16s %-46s %6s %s\n", $1, $2, $3, $4 }
	$3 > 0 { cases += $3; split($2, name, "/"); tests += !counted[$1 name[1]]++ }
	END {
		for (n = cases; n > 999; n = int(n / 1000)) { rest = sprintf(",%03d%s", n % 1000, rest) }
		print "compared with the answers of others: " n + 0 rest " cases in " tests + 0 " tests"
		exit !cases
	}'
exit "$status"
