#!/bin/sh
# Runs the tests that compare karat with answers of others, and prints how many
# cases each of them ran. The data lies beside the repository, or where
# KARAT_VECTORS says; without it the tests say NOT RUN.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
go test -count=1 -v -run 'Vectors|Core|Real|Headers|Official|EveryBlock|Reorganization|BlockFiles|ManyTransactions|Witnesses|Kill|PowerCutUnder|BIP|Derivations' \
	./chain/... ./node ./wallet ./cmd/... >"$out" 2>&1 || status=$?
grep -E '^ +[a-z_0-9]+_test\.go:[0-9]+: |NOT RUN|^(ok|FAIL|---)' "$out" | grep -vE '^--- PASS|no tests to run' || true
exit "$status"
