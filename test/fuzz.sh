#!/bin/sh
# Runs every fuzz target of the module and of test/oracle for a while each.
#
# What is found is a failure, always: an input, which the go tool names and this script
# shows, or a seed. A process that ends with a panic between two inputs is one, too.
# Sometimes the go tool itself fails, with no input to blame: it runs into its own
# deadline, or the machine kills one of its processes. Such a run is said and repeated.
set -eu
duration=${1:-20s}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
log=$work/log
ran=0
trap 'rm -rf "$work"' EXIT

# troubles are the go tool's words (internal/fuzz) for a run that ended without a verdict
# of the target. What the target says has a file and a line in front.
troubles='^ *(context (deadline exceeded|canceled)|fuzzing process terminated by unexpected signal|fuzzing process terminated without fuzzing|communicating with fuzzing process|internal error: shared memory)'

# ownTrouble reports whether a run that ended with a status has found nothing.
ownTrouble() { # status
	! grep -Eq 'Failing input|failure while testing seed corpus|hung or terminated unexpectedly|^panic:|^fatal error:' "$log" &&
		{ [ "$1" -eq 137 ] || grep -Eq "$troubles" "$log"; } # 137: it was killed
}

# report shows what a run found, with the input: where this runs, files may not last.
report() { # folder
	cat "$log"
	sed -n 's/^ *Failing input written to //p' "$log" | while read -r input; do
		echo "$input:"
		head -c 20000 "$1/$input"
	done
}

# A package is built once for all its targets, in whose folder they run: what fails is
# kept there, in testdata.
fuzz() { # package target
	folder=$(go list -f '{{.Dir}}' "$1")
	for attempt in 1 2 3; do
		echo "fuzz $1 $2 for $duration"
		status=0
		(cd "$folder" && "$work/test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$duration" \
			-test.fuzzminimizetime 5x -test.fuzzcachedir "$cache/$1") >"$log" 2>&1 || status=$?
		if [ "$status" -eq 0 ]; then
			tail -1 "$log"
			return 0
		fi
		if ! ownTrouble "$status"; then
			break
		fi
		echo "the go tool failed by itself (status $status), attempt $attempt of 3:"
		tail -5 "$log"
	done
	report "$folder"
	return 1
}

cache=$(go env GOCACHE)/fuzz
for module in "$here" "$here/test/oracle"; do
	cd "$module"
	packages=$(go list ./...)
	for package in $packages; do
		grep -qs '^func Fuzz' "$(go list -f '{{.Dir}}' "$package")"/*_test.go || continue
		go test -c -fuzz=. -o "$work/test" "$package"
		targets=$("$work/test" -test.list '^Fuzz')
		for target in $targets; do
			fuzz "$package" "$target"
			ran=$((ran + 1))
		done
	done
done
echo "$ran fuzz targets ran, none failed"
[ "$ran" -gt 0 ]
