package rpc

import (
	"slices"
	"strings"
)

// role says who may call a method, beside those who may call all and those for whom it is
// named.
type role string

const (
	roleRead   role = "@read"   // asks, changes nothing, and costs little
	roleWallet role = "@wallet" // what a wallet needs beside that: sends, and searches
	roleMine   role = "@mine"   // work for miners
	roleAll    role = "@all"    // the operator's: changes the node, costs minutes, or stops it
)

// roles lists the methods of each role. The table of methods has them from here: who
// judges what a stranger may be let do should see it at once. A method that is missing is
// the operator's, and a test asks for it.
var roles = map[role]string{
	roleRead: `
		decodepsbt analyzepsbt combinepsbt joinpsbts converttopsbt utxoupdatepsbt createpsbt createrawtransaction
		createmultisig decoderawtransaction decodescript deriveaddresses finalizepsbt combinerawtransaction echo echoipc echojson estimaterawfee estimatesmartfee
		getaddednodeinfo getaddressbalance getaddresshistory getaddressutxos getaddrmaninfo getbestblock getbestblockhash getblock getblockchaininfo
		getblockcount getblockfilter getblockhash getblockheader getblockstats getcfilter getcfilterheader getchainstates getchaintips getchaintxstats
		getconnectioncount getcurrentnet getdeploymentinfo getdescriptorinfo getdifficulty getheaders getindexinfo getinfo getmemoryinfo
		getmempoolancestors getmempoolcluster getmempooldescendants getmempoolentry getmempoolfeeratediagram getmempoolinfo getmininginfo getnettotals
		getnetworkhashps getnetworkinfo getnodeaddresses getopenrpcinfo getorphantxs getpeerinfo getprioritisedtransactions getrawaddrman getrawmempool
		getrawtransaction getrpcinfo getstratuminfo gettxout gettxoutproof gettxspendingprevout getzmqnotifications help lab_info listbanned rpc.discover
		uptime validateaddress verifymessage verifytxoutproof version waitforblock waitforblockheight waitfornewblock
		notifyblocks stopnotifyblocks notifynewtransactions stopnotifynewtransactions notifyspent stopnotifyspent notifyreceived stopnotifyreceived
		loadtxfilter rescanblocks session subscribe unsubscribe`,
	roleWallet: `
		sendrawtransaction submitpackage testmempoolaccept scantxoutset scanblocks getdescriptoractivity searchrawtransactions rescan`,
	roleMine: `
		getblocktemplate submitblock submitheader getmininginfo getnetworkhashps getdifficulty getblockcount getbestblockhash getstratuminfo
		validateaddress help uptime`,
	roleAll: `
		dev_info dev_setmining dev_mine dev_increasetime dev_settime dev_snapshot dev_revert dev_reorg dev_setbalance dev_send
		addconnection addnode addpeeraddress clearbanned debuglevel disconnectnode doctor dumptxoutset generate generateblock generatetoaddress
		generatetodescriptor getblockfrompeer gettxoutsetinfo importmempool invalidateblock lab_do loadtxoutset logging mockscheduler node ping preciousblock
		prioritisetransaction pruneblockchain reconsiderblock savemempool setban setmocktime setnetworkactive stop verifychain`,
}

// roleNone lets a user call nothing, which may be wanted while others have lists.
const roleNone = "@none"

// within are the roles whose methods a role has, too.
var within = map[role][]role{
	roleRead:   {roleRead},
	roleWallet: {roleRead, roleWallet},
	roleMine:   {roleMine},
	roleAll:    {roleRead, roleWallet, roleMine, roleAll},
}

// rolesOf returns the roles that list a method.
func rolesOf(method string) (list []role) {
	for r, names := range roles {
		if slices.Contains(strings.Fields(names), method) {
			list = append(list, r)
		}
	}
	slices.Sort(list)
	return list
}
