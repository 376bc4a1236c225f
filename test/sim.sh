#!/bin/sh
# Simulates a network (docs/simulation.md) and writes a report and drawings into the
# folder OUT. What is simulated is said by the environment:
#
#   NODES=200 SEED=1 HOSTILE=0.2 BLOCKS=10 PAYMENTS=50 LOSS=0.01 CHURN=10m PARTITION=60s
#   BEHAVIOURS=withhold,stall OUT=bin/sim
#
# The same settings give the same output, byte for byte. For that the Go runtime must
# not draw lots, which it does for maps, selects and goroutines that wait. So this
# builds the simulation with a runtime in which all lots come from one fixed seed, and
# nobody is interrupted because of the time. Where the runtime is another than the one
# that is known here, it says so and goes on.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
OUT=${OUT:-bin/sim}
work=$PWD/bin/sim-runtime
mkdir -p "$work" "$OUT"

# The go command replaces no file below its module cache, but one behind a link.
rm -f "$work/go"
ln -s "$($GO env GOROOT)" "$work/go"
runtime=$work/go/src/runtime
sed -e 's/^	globalRand\.state\.Init(\*seed)$/	*seed = [32]byte{1}\
&/' -e 's/^	c := &mp\.chacha8$/	c := \&m0.chacha8/' \
	-e '/^func cheaprand() uint32 {$/,/^}$/s/getg()\.m$/\&m0/' -e '/^func cheaprandu64() uint64 {$/,/^}$/s/getg()\.m$/\&m0/' \
	"$runtime/rand.go" >"$work/rand"
sed -e 's/^const haveSysmon = GOARCH != "wasm"$/const haveSysmon = false/' \
	-e 's/^	if pp\.schedtick%61 == 0 && !sched\.runq\.empty() {$/	if false {/' "$runtime/proc.go" >"$work/proc"
cat >"$work/overlay.json" <<JSON
{"Replace": {"$runtime/rand.go": "$work/rand", "$runtime/proc.go": "$work/proc"}}
JSON
changed() { diff "$runtime/$1" "$work/${1%.go}" | grep -c '^>' || true; }
if [ "$(changed rand.go)" = 4 ] && [ "$(changed proc.go)" = 2 ]; then
	GOTOOLCHAIN=local GOROOT=$work/go "$work/go/bin/go" test -overlay "$work/overlay.json" -c -o "$work/sim.test" ./internal/sim
else
	echo "NOT REPEATABLE: the runtime of $($GO version) is not known here; the same seed will give similar figures only" >&2
	$GO test -c -o "$work/sim.test" ./internal/sim
fi

# Arguments and directory have the same length wherever this runs: where things lie in
# memory decides in which order a map gives them.
log=$work/log
OUT=$(cd "$OUT" && pwd)
cd "$work"
rm -rf out
env -i GOMAXPROCS=1 ./sim.test -test.run '^TestSimulation$' -test.timeout 0 -sim.out out \
	-sim.nodes "${NODES:-200}" -sim.seed "${SEED:-1}" -sim.hostile "${HOSTILE:-0}" -sim.blocks "${BLOCKS:-10}" -sim.payments "${PAYMENTS:-50}" \
	-sim.loss "${LOSS:-0}" -sim.churn "${CHURN:-0}" -sim.partition "${PARTITION:-0}" -sim.behaviours "${BEHAVIOURS:-}" >"$log" 2>&1 || {
	cat "$log"
	exit 1
}
cp out/* "$OUT/"
cat "$OUT/report.txt"
echo "the drawings are $OUT/propagation.svg and $OUT/map.svg" >&2
