#!/bin/sh
# Runs every fuzz target of the module and of test/oracle for a while each.
set -eu
duration=${1:-20s}
here=$(cd "$(dirname "$0")/.." && pwd)
for module in "$here" "$here/test/oracle"; do
	cd "$module"
	go list ./... | while read -r package; do
		go test -list '^Fuzz' "$package" | grep '^Fuzz' | while read -r target; do
			echo "fuzz $package $target for $duration"
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" -fuzzminimizetime 5x "$package"
		done
	done
done
