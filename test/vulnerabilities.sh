#!/bin/sh
# Scans karat for known faults in its dependencies and in Go's own library, and
# fails for each that karat reaches, or if it could not look. Run it by
# `make vulnerabilities`, which says with which Go.
#
# The database is a Go module, so whoever can fetch karat's dependencies can fetch
# it, and its version says when it changed last. It is pinned, so that a change is
# judged by what it changes; raise it with the Go of the Makefile.
set -eu
cd "$(dirname "$0")/.."
database=golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018
scanner=golang.org/x/vuln/cmd/govulncheck@v1.9.0

json=$(go mod download -json "$database") || { echo "$json"; echo "the database of faults could not be fetched"; exit 1; }
field() { printf '%s\n' "$json" | sed -n "s/^\t\"$1\": \"\(.*\)\",*\$/\1/p"; }
entries=$(field Dir)/data/osv
changed=$(field Version | sed -n 's/.*-\(....\)\(..\)\(..\)......-.*/\1-\2-\3/p')
echo "faults known on ${changed:?the database says no date}: $(find "$entries" -name '*.json' | wc -l)"

# A database that is read wrongly has no faults for anyone. This Go has some.
known=$(go run "$scanner" -mode query -json -db "file://$entries" stdlib@v1.26.8)
case $known in
*'"id": "GO-'*) ;;
*)
	echo "the database of faults could not be read"
	exit 1
	;;
esac

# What `./...` leaves out: the modules in it, of which one is a program that people run.
for module in $(find . -name node_modules -prune -o -name go.mod -exec dirname {} \;); do
	echo "module $module"
	go run "$scanner" -C "$module" -db "file://$entries" ./...
done
