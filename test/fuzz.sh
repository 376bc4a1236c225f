#!/bin/sh
# Runs every fuzz target of the module and of test/oracle for a while each.
#
# The go tool sometimes reports its own deadline as a failure ("context deadline
# exceeded", with no input to blame) when the time is up. Such a run is repeated;
# anything else fails.
set -eu
duration=${1:-20s}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
log=$work/log
ran=0
trap 'rm -rf "$work"' EXIT

# A package is built once for all its targets, in whose folder they run: what fails is
# kept there, in testdata.
fuzz() { # package target
	for attempt in 1 2 3; do
		echo "fuzz $1 $2 for $duration"
		if (cd "$(go list -f '{{.Dir}}' "$1")" && "$work/test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$duration" \
			-test.fuzzminimizetime 5x -test.fuzzcachedir "$cache/$1") >"$log" 2>&1; then
			tail -1 "$log"
			return 0
		fi
		if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
			break
		fi
		echo "the go tool ran into its own deadline, attempt $attempt"
	done
	cat "$log"
	return 1
}

cache=$(go env GOCACHE)/fuzz
for module in "$here" "$here/test/oracle"; do
	cd "$module"
	packages=$(go list ./...)
	for package in $packages; do
		grep -qs '^func Fuzz' "$(go list -f '{{.Dir}}' "$package")"/*_test.go || continue
		go test -c -fuzz=. -o "$work/test" "$package"
		for target in $("$work/test" -test.list '^Fuzz'); do
			fuzz "$package" "$target"
			ran=$((ran + 1))
		done
	done
done
echo "$ran fuzz targets ran, none failed"
[ "$ran" -gt 0 ]
