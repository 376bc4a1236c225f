package rpc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// coreNames are the parameters of Bitcoin Core's methods, by which clients name
// them. Those that make no sense here may be left out at the end.
const coreNames = `
addnode node command v2transport
addpeeraddress address port tried
clearbanned
createmultisig nrequired keys address_type
createrawtransaction inputs outputs locktime replaceable version
decoderawtransaction hexstring iswitness
decodescript hexstring
deriveaddresses descriptor range
disconnectnode address nodeid
echo arg0 arg1 arg2 arg3 arg4 arg5 arg6 arg7 arg8 arg9
echoipc arg
echojson arg0 arg1 arg2 arg3 arg4 arg5 arg6 arg7 arg8 arg9
estimatesmartfee conf_target estimate_mode
generate
generateblock output transactions submit
generatetoaddress nblocks address maxtries
generatetodescriptor num_blocks descriptor maxtries
getaddednodeinfo node
getaddrmaninfo
getbestblockhash
getblock blockhash verbosity|verbose
getblockchaininfo
getblockcount
getopenrpcinfo show_hidden
rpc.discover
getblockfilter blockhash filtertype
getblockfrompeer blockhash peer_id
getblockhash height
getblockheader blockhash verbose
getblockstats hash_or_height stats
getblocktemplate template_request
getchaintips
getchaintxstats nblocks blockhash
getchainstates
getconnectioncount
getdeploymentinfo blockhash
getdescriptoractivity blockhashes scanobjects include_mempool
getdescriptorinfo descriptor
getdifficulty
getindexinfo index_name
getmemoryinfo mode
getmempoolancestors txid verbose
getmempoolcluster txid
getmempooldescendants txid verbose
getmempoolentry txid
getmempoolfeeratediagram
getmempoolinfo
getmininginfo
getnettotals
getnetworkhashps nblocks height
getnetworkinfo
getnodeaddresses count network
getorphantxs verbosity
getpeerinfo
getprioritisedtransactions
getrawaddrman
getrawmempool verbose mempool_sequence
getrawtransaction txid verbosity|verbose blockhash
getrpcinfo
gettxout txid n include_mempool
gettxoutproof txids blockhash
gettxoutsetinfo hash_type hash_or_height use_index
gettxspendingprevout outputs options
help command
importmempool filepath options
invalidateblock blockhash
listbanned
logging include exclude
mockscheduler delta_time
ping
preciousblock blockhash
pruneblockchain height
prioritisetransaction txid dummy fee_delta
reconsiderblock blockhash
savemempool
scanblocks action scanobjects start_height stop_height filtertype options
scantxoutset action scanobjects
sendrawtransaction hexstring maxfeerate maxburnamount
setban subnet command bantime absolute
setmocktime timestamp
setnetworkactive state
stop wait
submitblock hexdata dummy
submitheader hexdata
submitpackage package maxfeerate maxburnamount
testmempoolaccept rawtxs maxfeerate
uptime
validateaddress address
verifychain checklevel nblocks
verifytxoutproof proof
waitforblock blockhash timeout
waitforblockheight height timeout
waitfornewblock timeout current_tip
`

// TestParameterNames: methods that Bitcoin Core has take its parameters, in its
// order.
func TestParameterNames(t *testing.T) {
	core := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(coreNames)) {
		words := strings.Fields(line)
		core[words[0]] = words[1:]
	}
	for name, m := range methods() {
		want, ok := core[name]
		if !ok {
			if m.category != "Btcd" {
				t.Logf("%s is not compared", name)
			}
			continue
		}
		for i, p := range m.params {
			if i >= len(want) || p.name != want[i] {
				t.Errorf("%s: parameter %d is %s, want %v", name, i+1, p.name, want)
			}
		}
	}
}

// TestMethodTable: every method is described, as its help needs it, and no
// parameter has two meanings.
func TestMethodTable(t *testing.T) {
	for name, m := range methods() {
		if m.name != name || m.category == "" || m.about == "" || m.read == nil || !strings.HasSuffix(m.about, ".") && !strings.HasSuffix(m.about, ".)") {
			t.Errorf("%s: %q in %q", name, m.about, m.category)
		}
		seen := map[string]bool{"args": true} // has a meaning among named ones
		optional := false
		for i, p := range m.params {
			names := strings.Split(p.name, "|")
			for _, option := range p.options {
				names = append(names, option.name)
				if line := fmt.Sprintf("\n%s    (%s, optional, ", option.name, option.kind); option.about == "" || option.optional == "" || !strings.Contains(m.help(), line) {
					t.Errorf("%s: option %s is not described", name, option.name)
				}
			}
			for _, alias := range names {
				if seen[alias] || alias == "" {
					t.Errorf("%s: parameter %q is twice there", name, alias)
				}
				seen[alias] = true
			}
			if sample := strings.Trim(p.sample, "'"); p.optional == "" && (p.kind == kindArray || p.kind == kindObject) && (sample == "" || !json.Valid([]byte(sample))) {
				t.Errorf("%s: nobody sees how %s is written: %q", name, p.name, sample)
			}
			if p.about == "" || p.kind == "" {
				t.Errorf("%s: parameter %s is not described", name, p.name)
			}
			if optional && p.optional == "" && name != "prioritisetransaction" { // Core's dummy is one
				t.Errorf("%s: parameter %s is required after one that is not", name, p.name)
			}
			optional = p.optional != ""
			if p.hidden {
				continue
			}
			first, _, _ := strings.Cut(p.name, "|")
			if line := fmt.Sprintf("\n%d. %s    (%s, ", i+1, first, p.kind); !strings.Contains(m.help(), line) {
				t.Errorf("%s: help lacks %q", name, line)
			}
		}
	}
}

// TestHelpLayout: block explorers read it, so it is Bitcoin Core's.
func TestHelpLayout(t *testing.T) {
	s := newFake().server(t)
	help := func(params string) string {
		value, fault := s.dispatch(t.Context(), &session{user: &User{}}, &request{Method: []byte(`"help"`), Params: []byte(params)})
		if fault != nil {
			t.Fatal(fault)
		}
		result, _ := marshal(value)
		text := strings.NewReplacer(`\n`, "\n", `\"`, `"`).Replace(string(result))
		return strings.Trim(text, `"`)
	}
	s.Params.Ports.RPC = 1234
	if got, want := help(`["getblockheader"]`), `getblockheader "blockhash" ( verbose )

Returns a block's header, as an object or in hexadecimal.

Arguments:
1. blockhash    (string, required) The block hash
2. verbose    (boolean, optional, default=true) true for an object, false for hexadecimal

Result (for verbose = true):
{                                       (json object)
  "hash" : "hex",                       (string)
  "confirmations" : n,                  (numeric)
  "height" : n,                         (numeric)
  "version" : n,                        (numeric)
  "versionHex" : "hex",                 (string)
  "merkleroot" : "hex",                 (string)
  "time" : xxx,                         (numeric)
  "mediantime" : xxx,                   (numeric)
  "nonce" : n,                          (numeric)
  "bits" : "hex",                       (string)
  "target" : "hex",                     (string)
  "difficulty" : n,                     (numeric)
  "chainwork" : "hex",                  (string)
  "nTx" : n,                            (numeric)
  "previousblockhash" : "hex",          (string, optional)
  "nextblockhash" : "hex"               (string, optional)
}

Result (for verbose=false):
"hex"                                   (string)

Examples:
> karat rpc getblockheader BLOCKHASH
> curl --user myusername --data-binary '{"jsonrpc": "2.0", "id": "curltest", "method": "getblockheader", "params": ["BLOCKHASH"]}' -H 'content-type: application/json' http://127.0.0.1:1234/
`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := help(`["nothing"]`), "help: unknown command: nothing"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	all := help(`[]`)
	for _, want := range []string{"== Blockchain ==\ngetbestblockhash\n", "\n\n== Btcd ==\n", "\nsubmitblock \"hexdata\" ( dummy )", "\nprioritisetransaction \"txid\" ( dummy ) fee_delta\n", "\ngetblockstats hash_or_height ( [stats,...] )\n", "\nsendrawtransaction \"hexstring\" ( maxfeerate maxburnamount )\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nlacks %q", all, want)
		}
	}
	if strings.HasSuffix(all, "\n") || strings.Count(all, "\n\n") != strings.Count(all, "== ")-1 {
		t.Errorf("the sections of\n%s", all)
	}
}
