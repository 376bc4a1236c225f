#!/bin/sh
# Runs every fuzz target of the module and of test/oracle for a while each.
#
# The go tool sometimes reports its own deadline as a failure ("context deadline
# exceeded", with no input to blame) when the time is up. Such a run is repeated;
# anything else fails.
set -eu
duration=${1:-20s}
here=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp)
ran=0
trap 'rm -f "$log"' EXIT

fuzz() { # package target
	for attempt in 1 2 3; do
		echo "fuzz $1 $2 for $duration"
		if go test -run '^$' -fuzz "^$2\$" -fuzztime "$duration" -fuzzminimizetime 5x "$1" >"$log" 2>&1; then
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

for module in "$here" "$here/test/oracle"; do
	cd "$module"
	packages=$(go list ./...)
	for package in $packages; do
		targets=$(go test -list '^Fuzz' "$package")
		for target in $targets; do
			case $target in
			Fuzz*)
				fuzz "$package" "$target"
				ran=$((ran + 1))
				;;
			esac
		done
	done
done
echo "$ran fuzz targets ran, none failed"
[ "$ran" -gt 0 ]
