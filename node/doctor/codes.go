package doctor

// Code is what findings of a kind have in common.
type Code struct {
	Name     string
	Severity Severity // mostly
	Summary  string
	Next     string
}

// Codes has all kinds of findings. Of two that are alike in severity, the one that stands first may be the
// cause of the other. Programs go by the names: they never change their meaning.
var Codes = []Code{
	// What keeps a node from starting.
	{"network-file", Fault, "The network's file cannot be used.", "Get the file from whoever runs the network, or name the right one with --network."},
	{"options", Fault, "The configuration file or the command line is wrong.", "Mend what the evidence names; `karatd run --help` lists all options."},
	{"datadir-missing", Fault, "There is no folder for the data directory.", "Name the right one with --datadir, or make the folder that it is to be in."},
	{"disk-read-only", Fault, "The disk can only be read.", "Look into the system's log: a disk that fails is often made read-only. Mount it writable, or move the data."},
	{"datadir-access", Fault, "The data directory cannot be used.", "Let the user that runs the node own the folder and all in it (chown -R), or name another with --datadir."},
	{"datadir-network", Fault, "The data directory is of another network.", "Compare the two files with `karatd network diff`; give each network a data directory of its own."},
	{"datadir-damaged", Fault, "The database in the data directory is damaged.", "Look whether the disk is sound, and bring a backup back; or move the network's folder away and let the node sync anew. Keep node.key and faucet.key."},
	{"file-damaged", Fault, "A file that the node reads at its start cannot be used.", "Bring it back from a backup. Without one move it away, and the node makes another: with node.key goes its id, with faucet.key what the faucet has."},
	{"disk-full", Fault, "The disk is full: the node stops when it cannot write.", "Make room, keep fewer blocks with --prune, or move the data directory to a larger disk."},
	{"disk-files", Fault, "The file system can hold hardly any more files.", "Remove small files from that file system, or move the data directory to another one."},

	// What keeps a program from a node that may run.
	{"rpc-no-cookie", Fault, "The node runs, but its cookie cannot be read.", "Run this as the user that runs the node; if the file is gone, start the node again, which makes it anew."},
	{"rpc-refused", Fault, "The node refuses this user.", "Look whether --datadir and --network are those of the node that runs, and whether --rpc-allow lists the method for this user."},
	{"rpc-not-node", Fault, "What answers at the node's RPC address is no node.", "End that program, or choose another address with --rpc-listen."},
	{"node-silent", Fault, "A node has the data directory open, and does not answer.", "Look into its log; name its address with --rpc-listen if it was started with one. If it hangs, end it, and start it again."},
	{"port-taken", Fault, "Another program listens where the node would.", "End that program, or choose another address with the flag."},
	{"node-starting", Notice, "The node is starting.", "Wait: it reads what it has stored. Its log tells how far it is."},
	{"not-running", Fault, "No node runs in this data directory.", "Start it: `karatd run` with the same --network and --datadir."},

	// The chain's own faults.
	{"chain-fault", Fault, "The chain has met a fault and does nothing more.", "Look into the log, mend what it names (mostly the disk), and start the node again."},

	// The machine.
	{"disk-low", Warning, "The disk will be full soon.", "Make room, keep fewer blocks with --prune, or move the data directory to a larger disk."},
	{"memory-low", Warning, "The machine has hardly any memory left.", "End other programs, or give the node less: --dbcache, --mempool, --max-memory."},
	{"memory-budget", Warning, "The node may take more memory than the machine has.", "Lower --dbcache, --mempool or --max-memory, so that their sum leaves some for the system."},
	{"files-low", Warning, "The node can hardly open any more files or connections.", "Raise the limit (ulimit -n, or LimitNOFILE= of the service), or lower --max-peers."},
	{"key-exposed", Warning, "Others on this machine can read a secret file.", "Take the right to read it from others: chmod 600."},

	// The clock.
	{"clock-mocked", Warning, "The node's clock was set by a client and stands still.", "Let it go on: `karat rpc setmocktime 0`."},
	{"clock-behind", Fault, "The best block is more than two hours ahead of this machine's clock.", "Set the clock (timedatectl set-ntp true). With a clock that is behind, good blocks are refused."},
	{"clock-off", Warning, "This machine's clock and those of the peers differ.", "Set the clock (timedatectl set-ntp true). With a clock that is ahead, others refuse the blocks made here."},

	// The rules.
	{"refused-chain", Fault, "A chain of more work than the node's own was refused.", "Compare with others: upgrade if they have newer rules; otherwise check the data with `karatd verify`."},
	{"unknown-rules", Warning, "Blocks go by rules that this program does not know.", "Look for a newer karat: rules that are not known here are not checked here."},

	// The network.
	{"network-off", Fault, "The network is switched off.", "Switch it on: `karat rpc setnetworkactive true`."},
	{"proxy-down", Fault, "The proxy does not answer, so no peer can be called.", "Start it (Tor listens at 127.0.0.1:9050), or name the right one with --proxy."},
	{"other-network", Fault, "Those who answer are of another network.", "Compare the network's file with theirs (`karatd network diff`): all of a network need the same one."},
	{"peer-other-id", Warning, "At an address answers another node than the one that was asked for.", "Ask its operator for the id: it changes when node.key is lost. If it should not have changed, somebody else answers there."},
	{"peer-kept-out", Warning, "A peer that the node should connect to is kept out by this node.", "Lift the ban (`karat rpc setban ADDRESS remove`), or put its id onto --allow-peer."},
	{"peer-unreachable", Warning, "A peer that the node should stay connected to does not answer.", "Look whether it runs, whether address and port are right, and whether a firewall is between."},
	{"no-peers", Fault, "No peer is connected.", "Look whether this machine has a network and lets connections out, or name a node that runs: --connect ID@HOST:PORT."},
	{"key-copied", Warning, "Another node has this node's key: the data folder was copied.", "Stop one of them, remove the file node.key from its folder, and start it: it makes a key of its own."},
	{"not-reachable", Warning, "Nobody calls at the address that is announced.", "Let the port through the firewall and the router, and compare --external-address with what peers see."},
	{"port-not-mapped", Warning, "The router does not forward the port.", "Switch UPnP or NAT-PMP on in the router, or forward the port there by hand."},
	{"no-callers", Notice, "Nobody has called this node yet.", "It works without. To help the network, let the port through firewall and router, or use --map-port."},
	{"upload-reached", Notice, "The day's target for uploads is reached: old blocks are not given.", "Raise --max-upload if that is not wanted."},
	{"peers-memory", Warning, "Peers take all the memory that they may.", "Raise --max-memory; `karat rpc getpeerinfo` shows who takes most."},

	// The chain against its peers.
	{"no-full-peers", Fault, "No peer has the old blocks that are missing.", "Connect to a node that keeps all blocks: --connect ID@HOST:PORT."},
	{"stale-tip", Fault, "The node does not get on: better blocks are known, and do not come.", "Hang up on the peers (`karat rpc setnetworkactive false`, then true), and look into the log for what was refused."},
	{"quiet-network", Notice, "No block was found for long, here or by anybody that the node knows.", "Nothing is wrong here. If nobody mines any more, start: --mine --mine-to ADDRESS."},

	// The pool and mining.
	{"template-invalid", Fault, "Blocks that are made here would be refused.", "Do not mine with this node: remove what the evidence names from the pool, or start it with --persist-mempool=false; keep the log for a report."},
	{"pool-behind", Warning, "The pool is behind the chain: blocks made here are empty.", "Wait a minute and look again; if it stays, start the node again."},
	{"mining-while-syncing", Warning, "The node mines on an old block, since it has not synced.", "Stop mining until the node has synced: such blocks are worth nothing."},
	{"shares-refused", Warning, "Many shares of the miners are refused.", "Look at `karat rpc getstratuminfo`: stale ones are of a slow line, low ones of a program with the wrong difficulty."},
	{"pool-strict", Warning, "This node takes only transactions that pay far more than those its peers take.", "Lower --min-feerate: what others mine comes here unknown, and slowly."},
	{"pool-floor", Warning, "The pool is full and takes only transactions that pay more than usual.", "Give it more memory with --mempool, if others hold transactions that this node drops."},
	{"not-relayed", Notice, "No peer has asked for some transactions of this node's clients.", "Look at one: `karatd doctor --tx TXID`."},

	// The rest.
	{"index-stopped", Warning, "An index stands still.", "Make room or mend the disk; an index that is removed (folder indexes) is made anew at the start."},
	{"rpc-open", Warning, "RPC is open beyond this machine without TLS.", "Use --rpc-tls, or listen at 127.0.0.1: whoever is on the way reads passwords."},
	{"rpc-certificate", Warning, "The certificate for RPC ends, and clients will refuse it.", "Make a new one; that of --rpc-tls is made anew when rpc.cert and rpc.key are removed."},
	{"rpc-locked", Notice, "Some users of RPC may call nothing.", "Give them a list: --rpc-allow NAME:@read, or see --rpc-allow-default."},
	{"faucet-empty", Warning, "The faucet is empty.", "Send coins to its address."},
	{"unclean-end", Notice, "The node ended without an end.", "Nothing is lost. If it happens again, look into the log and the system's: it was killed, or ran out of memory."},

	// A transaction.
	{"tx-unknown", Warning, "The node does not know the transaction.", "Send it again from the wallet (`karat rebroadcast`), or look whether the id is right. The pool may have dropped it for its fee."},
	{"tx-refused", Fault, "The transaction is refused.", "Mend what the evidence names, and sign it anew."},
	{"tx-would-be-taken", Notice, "The transaction is not here, and would be taken.", "Send it: `karat rpc sendrawtransaction HEX`."},
	{"tx-orphan", Warning, "The transaction waits for what it spends, which nobody has told of.", "Send its parents first."},
	{"tx-below-floor", Warning, "The transaction pays less than this node's miners take.", "Raise its fee (`karat bump TXID`); lower --block-min-feerate if the blocks are yours."},
	{"tx-not-relayed", Warning, "No peer has asked for the transaction: it waits on this node alone.", "Look at the peers. If it pays less than they take, raise its fee."},
	{"tx-parent", Warning, "The transaction waits with an ancestor that pays too little.", "Let a child pay for all (`karat cpfp TXID`), or raise the ancestor's fee (`karat bump`)."},
	{"tx-low-fee", Warning, "The transaction pays less than those before it.", "Wait, or raise its fee: `karat bump TXID`, or `karat cpfp TXID` if it is somebody else's."},
	{"tx-next-block", Notice, "The transaction is in the next block, if this node's view is the miner's.", "Wait for the next block."},
	{"tx-confirmed", Notice, "The transaction is in a block.", "Nothing is wrong; each block above makes it safer."},
}

// codeOf returns a code by its name, which must be one of Codes.
func codeOf(name string) Code {
	for _, c := range Codes {
		if c.Name == name {
			return c
		}
	}
	panic("doctor: there is no code " + name)
}
