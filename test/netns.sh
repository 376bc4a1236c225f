#!/bin/sh
# Runs five real nodes in network namespaces of their own, which are joined by lines
# with latency, loss and little bandwidth (test/netns), and checks that they come to
# one tip: after blocks, after a partition in which both sides have mined, and after one
# of them was killed. It needs root, ip, and /dev/net/tun, and the programs in BIN (bin).
#
# Where namespaces cannot be made it says NOT RUN, and ends with 77.
set -eu
cd "$(dirname "$0")/.."
BIN=$(cd "${BIN:-bin}" && pwd)
GO=${GO:-go}
nodes='1 2 3 4 5'
tag=k$$
work=$(mktemp -d)
pids='' relay=''

not_run() {
	echo "NOT RUN: five nodes in network namespaces: $1" >&2
	exit 77
}
cleanup() {
	for pid in $pids $relay; do kill "$pid" 2>/dev/null || true; done
	wait
	for i in $nodes; do ip netns del "$tag-$i" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

command -v ip >/dev/null || not_run "there is no ip"
[ -c /dev/net/tun ] || not_run "there is no /dev/net/tun"
for i in $nodes; do
	ip netns add "$tag-$i" 2>/dev/null || not_run "ip netns add fails (it takes root)"
done
$GO build -o "$work/netns" ./test/netns

# The network.
mkfifo "$work/commands"
# shellcheck disable=SC2086
"$work/netns" $(for i in $nodes; do echo "$tag-$i"; done) <"$work/commands" >"$work/relay.log" 2>&1 &
relay=$!
exec 3>"$work/commands"
tries=0
until grep -q ready "$work/relay.log"; do
	kill -0 $relay 2>/dev/null || not_run "no TUN devices: $(cat "$work/relay.log")"
	tries=$((tries + 1))
	[ $tries -lt 100 ] || not_run "no TUN devices in ten seconds"
	sleep 0.1
done
for i in $nodes; do
	ip link set "$tag-$i" netns "$tag-$i"
	ip -n "$tag-$i" link set lo up
	ip -n "$tag-$i" addr add "10.77.0.$i/24" dev "$tag-$i"
	ip -n "$tag-$i" link set "$tag-$i" mtu 1500 up
done

# Each node calls the two after it.
start() {
	ip netns exec "$tag-$1" "$BIN/karatd" --network dev --datadir "$work/$1" --listen "10.77.0.$1:19555" --rpc-listen 127.0.0.1:19554 --no-discovery \
		--connect "10.77.0.$(($1 % 5 + 1)):19555" --connect "10.77.0.$((($1 + 1) % 5 + 1)):19555" --log-level debug >"$work/$1.log" 2>&1 &
	eval "pid$1=$!"
	pids="$pids $!"
	rpc "$1" --wait getblockcount >/dev/null
}
rpc() {
	node=$1
	shift
	ip netns exec "$tag-$node" "$BIN/karat" --network dev --datadir "$work/$node" --rpc 127.0.0.1:19554 rpc "$@"
}
mine() { rpc "$1" generatetoaddress "$2" krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j >/dev/null; }

# agree WHAT NODE… waits until the nodes have the first one's tip.
agree() {
	what=$1
	shift
	tip=$(rpc "$1" getbestblockhash)
	began=$(date +%s)
	for at in "$@"; do
		until [ "$(rpc "$at" getbestblockhash)" = "$tip" ]; do
			if [ $(($(date +%s) - began)) -gt 120 ]; then
				echo "FAILED: $what: node $at is not on $tip in 120 s" >&2
				for n in $nodes; do
					echo "node $n: $(rpc "$n" getblockcount)" >&2
					tail -n 20 "$work/$n.log" >&2
				done
				exit 1
			fi
			sleep 0.5
		done
	done
	echo "$what: nodes $* are on one tip at height $(rpc "$1" getblockcount) after $(($(date +%s) - began)) s"
}

for i in $nodes; do start "$i"; done
mine 1 50
agree "50 blocks" 1 2 3 4 5

echo "split 2" >&3
mine 1 2
mine 4 4
agree "one side of a partition" 1 2
agree "the other side" 4 3 5
[ "$(rpc 1 getbestblockhash)" != "$(rpc 4 getbestblockhash)" ] || {
	echo "FAILED: the partition leaks" >&2
	exit 1
}
sleep 5 # so that what is sent again is sent less and less often
echo "join" >&3
agree "the partition is over" 4 1 2 3 5

kill -KILL "$pid3"
wait "$pid3" 2>/dev/null || true
mine 2 3
agree "one node is gone" 2 1 4 5
start 3
agree "it is back" 2 1 3 4 5
echo "stat" >&3
sleep 0.2
tail -n 1 "$work/relay.log"
