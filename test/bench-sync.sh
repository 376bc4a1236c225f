#!/bin/sh
# How long a node takes to sync a chain over the wire, compared with importing it
# from a file: test/bench-sync.sh NETWORK BLOCKS [ROUNDS]
#
# Needs bin/ (make build). Server and client share this machine.
set -eu
network=$1 blocks=$2 rounds=${3:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
PATH="$here/bin:$PATH"
work=$(mktemp -d)
server='' client=''
trap 'kill $server $client 2>/dev/null || true; wait; rm -rf "$work"' EXIT

now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.2f\", $(now) - $1 }"; }

round() {
	rm -rf "$work/imported" "$work/synced"
	start=$(now)
	karatd --network "$network" --datadir "$work/imported" import "$blocks" >/dev/null 2>&1
	import=$(since "$start")

	karatd --network "$network" --datadir "$work/imported" --listen 127.0.0.1:28801 --rpc-listen 127.0.0.1:28802 --log-level error >/dev/null &
	server=$!
	tip=$(karat --network "$network" --datadir "$work/imported" --rpc 127.0.0.1:28802 rpc --wait getbestblockhash)
	sleep 3 # its indexes are made meanwhile
	start=$(now)
	karatd --network "$network" --datadir "$work/synced" --listen none --rpc-listen 127.0.0.1:28803 \
		--connect 127.0.0.1:28801 >/dev/null 2>"$work/log" &
	client=$!
	until grep -q "msg=synced.*$tip" "$work/log"; do
		sleep 0.5
	done
	end=$(sed -n 's/^time=\([^ ]*\) .*msg=synced.*/\1/p' "$work/log")
	sync=$(awk "BEGIN { printf \"%.2f\", $(date -d "$end" +%s.%N) - $start }")
	for at in 28802 28803; do
		dir=imported
		[ $at = 28802 ] || dir=synced
		karat --network "$network" --datadir "$work/$dir" --rpc 127.0.0.1:$at rpc gettxoutsetinfo muhash | grep '"muhash"' >"$work/$dir.muhash"
	done
	cmp "$work/imported.muhash" "$work/synced.muhash"
	kill "$server" "$client"
	wait "$server" "$client"
	server='' client=''
	awk "BEGIN { printf \"import %.2f s, sync %.2f s, ratio %.2f, same coins\\n\", $import, $sync, $sync / $import }"
}

while [ "$rounds" -gt 0 ]; do
	round
	rounds=$((rounds - 1))
done
