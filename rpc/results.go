package rpc

// Shapes that several methods have.
const (
	shapeRates   = `hashrate1m:num hashrate10m:num hashrate60m:num`                                                                                    // hash rates
	shapeShares  = `accepted:num rejected:{*:num} work:num bestshare:num lastshare:time blocks:num`                                                    // what miners handed in
	shapeScript  = `{asm:str desc:str hex:hex address?:str type:str}`                                                                                  // a scriptPubKey
	shapeInput   = `coinbase?:hex txid?:hex vout?:num scriptSig?:{asm:str hex:hex} txinwitness?:[hex]`                                                 // an input, but for its sequence
	shapeOutputs = `vout:[{value:amount n:num scriptPubKey:` + shapeScript + `}]`                                                                      // the outputs of a transaction
	shapeTx      = `txid:hex hash:hex size:num vsize:num weight:num version:num locktime:time vin:[{` + shapeInput + ` sequence:num}] ` + shapeOutputs // a transaction
	shapeSpends  = `txid:hex hash:hex size:num vsize:num weight:num version:num locktime:time vin:[{` + shapeInput + ` prevout?:{generated:bool height:num value:amount scriptPubKey:` +
		shapeScript + `} sequence:num}] ` + shapeOutputs // a transaction with what it spends
	shapeLab   = `seed:num time:time passed:num speed:num loss:num news:num repeatable:bool nodes:[{height:num hash:hex found:num waiting:num}] links:[{a:num b:num delay:num cut:bool}]` // a lab
	shapeEntry = `{vsize:num vsize_bip141:num vsize_adjusted:num weight:num time:time height:num descendantcount:num descendantsize:num ancestorcount:num ` +
		`ancestorsize:num chunkweight:num wtxid:hex fees:{base:amount modified:amount ancestor:amount descendant:amount chunk:amount} depends:[hex] ` +
		`spentby:[hex] unbroadcast:bool bip125-replaceable:bool}` // a transaction that waits
	shapeBlock = `hash:hex confirmations:num size:num strippedsize:num weight:num coinbase_tx:{version:num locktime:num sequence:num coinbase:hex witness?:hex} ` +
		`height:num version:num versionHex:hex merkleroot:hex` // the beginning of a block
	shapeHeader = `time:time mediantime:time nonce:num bits:hex target:hex difficulty:num chainwork:hex nTx:num previousblockhash?:hex nextblockhash?:hex` // the rest of a header
)

// results tells what methods answer with. Of one that is missing here anything may come.
var results = map[string]string{
	"addnode":        `null`,
	"addpeeraddress": `{success:bool error?:str}`,
	"analyzepsbt": `{inputs?:[{has_utxo:bool is_final:bool missing?:{pubkeys?:[hex] signatures?:[hex] redeemscript?:hex witnessscript?:hex} next?:str}] ` +
		`estimated_vsize?:num estimated_feerate?:amount fee?:amount next:str error?:str}`,
	"dev_increasetime":      `{time:time mediantime:time}`,
	"dev_info":              `{mining:str seconds?:num tip:hex height:num time:time ahead:num words:str accounts:[{address:str path:str balance:amount}] bank:{address:str path:str balance:amount} payto?:str snapshots:[{id:num tip:hex height:num waiting:num}]}`,
	"dev_mine":              `[hex]`,
	"dev_reorg":             `{fork:hex forkheight:num replaced:[hex] mined:[hex]}`,
	"dev_revert":            `{tip:hex height:num lost:[hex]}`,
	"dev_send":              `hex`,
	"dev_setbalance":        `{txid?:hex blockhash?:hex}`,
	"dev_setmining":         `null`,
	"dev_settime":           `{time:time mediantime:time}`,
	"dev_snapshot":          `num`,
	"clearbanned":           `null`,
	"combinepsbt":           `str`,
	"combinerawtransaction": `str`,
	"converttopsbt":         `str`,
	"createmultisig":        `{address:str redeemScript:hex descriptor:str warnings?:[str]}`,
	"createpsbt":            `str`,
	"createrawtransaction":  `hex`,
	"decodepsbt": `{tx?:{` + shapeTx + `} global_xpubs:[{xpub:str master_fingerprint:hex path:str}] tx_version?:num fallback_locktime?:num input_count?:num output_count?:num ` +
		`inputs_modifiable?:bool outputs_modifiable?:bool has_sighash_single?:bool psbt_version?:num proprietary:[{identifier:hex subtype:num key:hex ` +
		`value:hex}] unknown:{*:hex} inputs:[{non_witness_utxo?:{` + shapeTx +
		`} witness_utxo?:{amount:num scriptPubKey:{asm:str desc:str hex:hex type:str address?:str}} partial_signatures?:{*:str} sighash?:str ` +
		`redeem_script?:{asm:str hex:hex type:str} witness_script?:{asm:str hex:hex type:str} bip32_derivs?:[{pubkey:str master_fingerprint:str path:str}] ` +
		`final_scriptSig?:{asm:str hex:hex} final_scriptwitness?:[hex] ripemd160_preimages?:{*:str} sha256_preimages?:{*:str} hash160_preimages?:{*:str} ` +
		`hash256_preimages?:{*:str} previous_txid?:hex previous_vout?:num sequence?:num time_locktime?:num height_locktime?:num taproot_key_path_sig?:hex ` +
		`taproot_script_path_sigs?:[{pubkey:str leaf_hash:str sig:str}] taproot_scripts?:[{script:hex leaf_ver:num control_blocks:[hex]}] ` +
		`taproot_bip32_derivs?:[{pubkey:str master_fingerprint:str path:str leaf_hashes:[hex]}] taproot_internal_key?:hex taproot_merkle_root?:hex ` +
		`musig2_participant_pubkeys?:[{aggregate_pubkey:hex participant_pubkeys:[hex]}] musig2_pubnonces?:[{participant_pubkey:hex aggregate_pubkey:hex ` +
		`leaf_hash?:hex pubnonce:hex}] musig2_partial_sigs?:[{participant_pubkey:hex aggregate_pubkey:hex leaf_hash?:hex partial_sig:hex}] unknown?:{*:hex} ` +
		`proprietary?:[{identifier:hex subtype:num key:hex value:hex}]}] outputs:[{redeem_script?:{asm:str hex:hex type:str} witness_script?:{asm:str hex:hex ` +
		`type:str} bip32_derivs?:[{pubkey:str master_fingerprint:str path:str}] amount?:num script?:` + shapeScript +
		` taproot_internal_key?:hex taproot_tree?:[{depth:num leaf_ver:num script:str}] taproot_bip32_derivs?:[{pubkey:str master_fingerprint:str path:str ` +
		`leaf_hashes:[hex]}] musig2_participant_pubkeys?:[{aggregate_pubkey:hex participant_pubkeys:[hex]}] unknown?:{*:hex} proprietary?:[{identifier:hex ` +
		`subtype:num key:hex value:hex}]}] fee?:amount}`,
	"decoderawtransaction": `{` + shapeTx + `}`,
	"decodescript":         `{asm:str desc:str type:str address?:str}`,
	"deriveaddresses":      `(for single derivation descriptors) [str] | (for multipath descriptors) [[str]]`,
	"disconnectnode":       `null`,
	"doctor":               `{healthy:bool findings:[{code:str severity:str summary:str evidence:[str] next:str}]}`,
	"echo":                 `[any]`,
	"echoipc":              `str`,
	"echojson":             `[any]`,
	"estimatesmartfee":     `{feerate?:num errors?:[str] blocks:num}`,
	"finalizepsbt":         `{psbt?:str hex?:hex complete:bool}`,
	"generate":             `null`,
	"generateblock":        `{hash:hex hex?:hex}`,
	"generatetoaddress":    `[hex]`,
	"generatetodescriptor": `[hex]`,
	"getaddednodeinfo":     `[{addednode:str connected:bool addresses:[{address:str connected:str}]}]`,
	"getaddrmaninfo":       `{*:{new:num tried:num total:num}}`,
	"getbestblock":         `{hash:hex height:num}`,
	"getbestblockhash":     `hex`,
	"getblock": `(for verbosity = 0) hex | (for verbosity = 1) {` + shapeBlock + ` tx:[hex] ` + shapeHeader + `} | (for verbosity = 2) {` + shapeBlock + ` tx:[{` + shapeTx +
		` fee?:num hex:hex}] ` + shapeHeader + `} | (for verbosity = 3) {` + shapeBlock + ` tx:[{` + shapeSpends + ` fee?:num hex:hex}] ` + shapeHeader + `}`,
	"getblockchaininfo": `{chain:str blocks:num headers:num bestblockhash:str bits:hex target:hex difficulty:num time:time mediantime:time verificationprogress:num ` +
		`initialblockdownload:bool chainwork:hex size_on_disk:num pruned:bool pruneheight?:num automatic_pruning?:bool prune_target_size?:num warnings:[str]}`,
	"getblockcount":    `num`,
	"getblockfilter":   `{filter:hex header:hex}`,
	"getblockfrompeer": `{}`,
	"getblockhash":     `hex`,
	"getblockheader":   `(for verbose = true) {hash:hex confirmations:num height:num version:num versionHex:hex merkleroot:hex ` + shapeHeader + `} | (for verbose=false) hex`,
	"getblockstats": `{avgfee?:num avgfeerate?:num avgtxsize?:num blockhash?:hex feerate_percentiles?:[num*5] height?:num ins?:num maxfee?:num maxfeerate?:num ` +
		`maxtxsize?:num medianfee?:num mediantime?:num mediantxsize?:num minfee?:num minfeerate?:num mintxsize?:num outs?:num subsidy?:num swtotal_size?:num ` +
		`swtotal_weight?:num swtxs?:num time?:num total_out?:num total_size?:num total_weight?:num totalfee?:num txs?:num utxo_increase?:num ` +
		`utxo_size_inc?:num utxo_increase_actual?:num utxo_size_inc_actual?:num}`,
	"getblocktemplate": `(If the proposal was accepted with mode=='proposal') null | (If the proposal was not accepted with mode=='proposal') str | (Otherwise) {version:num ` +
		`rules:[str] vbavailable:{*:num} capabilities:[str] vbrequired:num previousblockhash:str transactions:[{data:hex txid:hex hash:hex depends:[num] ` +
		`fee:num sigops:num weight:num}] coinbaseaux:{*:hex} coinbasevalue:num longpollid:str target:str mintime:time mutable:[str] noncerange:hex ` +
		`sigoplimit:num sizelimit:num weightlimit?:num curtime:time bits:str height:num coinbasetxn?:{data:hex txid:hex hash:hex depends:[num] fee:num ` +
		`sigops:num weight:num required:bool} default_witness_commitment?:hex}`,
	"getchainstates": `{headers:num chainstates:[{blocks:num bestblockhash:hex bits:hex target:hex difficulty:num verificationprogress:num snapshot_blockhash?:hex ` +
		`coins_db_cache_bytes:num coins_tip_cache_bytes:num validated:bool}]}`,
	"getchaintips":       `[{height:num hash:hex branchlen:num status:str}]`,
	"getchaintxstats":    `{time:time txcount?:num window_final_block_hash:hex window_final_block_height:num window_block_count:num window_interval?:num window_tx_count?:num ` + `txrate?:num}`,
	"getconnectioncount": `num`,
	"getcurrentnet":      `num`,
	"getdeploymentinfo":  `{hash:str height:num script_flags:[str] deployments:{*:{type:str active:bool height:num}}}`,
	"getdescriptoractivity": `{activity:[{type:str amount:amount blockhash?:hex height?:num spend_txid:hex spend_vin:num prevout_txid:hex prevout_vout:num prevout_spk:` + shapeScript +
		`} {type:str amount:amount blockhash?:hex height?:num txid:hex vout:num output_spk:` + shapeScript + `}]}`,
	"getdescriptorinfo": `{descriptor:str multipath_expansion?:[str] checksum:str isrange:bool issolvable:bool hasprivatekeys:bool}`,
	"getdifficulty":     `num`,
	"getheaders":        `[hex]`,
	"getindexinfo":      `{*:{synced:bool best_block_height:num problem?:str}}`,
	"getmemoryinfo": `{locked:{used:num free:num total:num locked:num chunks_used:num chunks_free:num} peers:{used:num limit:num} processors:{used:num limit:num} ` +
		`handshakes:{used:num limit:num} heap:{used:num total:num}}`,
	"getmempoolancestors":      `(for verbose = false) [hex] | (for verbose = true) {*:` + shapeEntry + `}`,
	"getmempoolcluster":        `{clusterweight:num txcount:num chunks:[{chunkfee:num chunkweight:num txs:[hex]}]}`,
	"getmempooldescendants":    `(for verbose = false) [hex] | (for verbose = true) {*:` + shapeEntry + `}`,
	"getmempoolentry":          shapeEntry,
	"getmempoolfeeratediagram": `[{weight:num fee:num}]`,
	"getmempoolinfo": `{loaded:bool size:num bytes:num usage:num total_fee:amount maxmempool:num mempoolminfee:amount minrelaytxfee:amount incrementalrelayfee:num ` +
		`unbroadcastcount:num permitbaremultisig:bool maxdatacarriersize:num limitclustercount:num limitclustersize:num optimal:bool fullrbf:bool}`,
	"getmininginfo": `{blocks:num currentblockweight?:num currentblocktx?:num bits:hex difficulty:num target:hex networkhashps:num pooledtx:num blockmintxfee:amount ` +
		`chain:str next:{height:num bits:hex difficulty:num target:hex} warnings:[str]}`,
	"getnettotals": `{totalbytesrecv:num totalbytessent:num timemillis:time uploadtarget:{timeframe:num target:num target_reached:bool serve_historical_blocks:bool ` +
		`bytes_left_in_cycle:num time_left_in_cycle:num}}`,
	"getnetworkhashps": `num`,
	"getnetworkinfo": `{version:num subversion:str protocolversion:num localservices:hex localservicesnames:[str] localrelay:bool timeoffset:num connections:num ` +
		`connections_in:num connections_out:num networkactive:bool networks:[{name:str limited:bool reachable:bool proxy:str ` +
		`proxy_randomize_credentials:bool}] relayfee:num incrementalfee:num localaddresses:[{address:str port:num score:num}] warnings:[str] nodeid:hex ` + `listening:[str]}`,
	"getnodeaddresses": `[{time:time services:num address:str port:num network:str nodeid:hex}]`,
	"getopenrpcinfo": `{openrpc:str info:{title:str version:str description:str} methods:[{name:str description:str params:[{name:str required:bool schema:any ` +
		`description?:str x-bitcoin-aliases?:[str] x-bitcoin-placeholder?:bool x-bitcoin-also-positional?:bool}] result:{name:str schema:any} ` + `x-bitcoin-category:str}]}`,
	"getorphantxs": `(for verbose = 0) [hex] | (for verbose = 1) [{txid:hex wtxid:hex bytes:num vsize:num vsize_bip141:num weight:num from:[num]}] | (for verbose = 2) ` +
		`[{txid:hex wtxid:hex bytes:num vsize:num vsize_bip141:num weight:num from:[num] hex:hex}]`,
	"getpeerinfo": `[{id:num addr:str addrbind?:str addrlocal?:str network:str services:hex servicesnames:[str] relaytxes:bool last_inv_sequence:num inv_to_send:num ` +
		`lastsend:time lastrecv:time last_transaction:time last_block:time bytessent:num bytesrecv:num conntime:time timeoffset:num pingtime?:num minping?:num ` +
		`pingwait?:num version:num subver:str inbound:bool bip152_hb_to:bool bip152_hb_from:bool startingheight:num presynced_headers:num synced_headers:num ` +
		`synced_blocks:num inflight:[num] addr_relay_enabled:bool addr_processed:num addr_rate_limited:num permissions:[str] minfeefilter:num ` +
		`bytessent_per_msg:{*:num} bytesrecv_per_msg:{*:num} connection_type:str transport_protocol_type:str session_id:str nodeid:hex memory:num ` + `processor:num}]`,
	"getprioritisedtransactions": `{*:{fee_delta:num in_mempool:bool modified_fee?:num}}`,
	"getrawaddrman":              `{*:{*:{address:str port:num network:str services:num time:time source:str source_network:str nodeid:hex}}}`,
	"getrawmempool":              `(for verbose = false) [hex] | (for verbose = true) {*:` + shapeEntry + `} | (for verbose = false and mempool_sequence = true) {txids:[hex] mempool_sequence:num}`,
	"getrawtransaction": `(if verbosity is not set or set to 0) str | (if verbosity is set to 1) {in_active_chain?:bool blockhash?:hex vsize_adjusted?:num confirmations?:num ` +
		`blocktime?:time time?:num hex:hex ` + shapeTx +
		`} | (for verbosity = 2) {in_active_chain?:bool blockhash?:hex vsize_adjusted?:num confirmations?:num blocktime?:time time?:num hex:hex fee?:num ` + shapeSpends + `}`,
	"getrpcinfo": `{active_commands:[{method:str duration:num}] logpath:str}`,
	"getstratuminfo": `{listening:str tls:bool connections:num banned:num job:any lastblock:any ` + shapeRates + ` ` + shapeShares +
		` workers:[{name:str payout:str addr?:str useragent:str connections:num difficulty:num ` + shapeRates + ` ` + shapeShares + `}]}`,
	"gettxout": `(If the UTXO was not found) null | (Otherwise) {bestblock:hex confirmations:num value:amount scriptPubKey:{asm:str desc:str hex:hex type:str ` +
		`address?:str} coinbase:bool}`,
	"gettxoutproof": `str`,
	"gettxoutsetinfo": `{height:num bestblock:hex txouts:num bogosize:num hash_serialized_3?:hex muhash?:hex transactions?:num disk_size?:num total_amount:amount ` +
		`total_unspendable_amount?:amount block_info?:{prevout_spent:amount coinbase:amount new_outputs_ex_coinbase:amount unspendable:amount ` +
		`unspendables:{genesis_block:amount bip30:amount scripts:amount unclaimed_rewards:amount}}}`,
	"gettxspendingprevout":  `[{txid:hex vout:num spendingtxid?:hex spendingtx?:hex blockhash?:hex}]`,
	"help":                  `str`,
	"importmempool":         `{}`,
	"invalidateblock":       `null`,
	"joinpsbts":             `str`,
	"lab_do":                `{` + shapeLab + `}`,
	"lab_info":              `{` + shapeLab + `}`,
	"listbanned":            `[{address:str ban_created:time banned_until:time ban_duration:time time_remaining:time automatic:bool}]`,
	"logging":               `{*:bool}`,
	"mockscheduler":         `null`,
	"ping":                  `null`,
	"preciousblock":         `null`,
	"prioritisetransaction": `bool`,
	"pruneblockchain":       `num`,
	"reconsiderblock":       `null`,
	"rpc.discover": `{openrpc:str info:{title:str version:str description:str} methods:[{name:str description:str params:[{name:str required:bool schema:any ` +
		`description?:str x-bitcoin-aliases?:[str] x-bitcoin-placeholder?:bool x-bitcoin-also-positional?:bool}] result:{name:str schema:any} ` + `x-bitcoin-category:str}]}`,
	"savemempool": `{filename:str}`,
	"scanblocks": `(when action=='status' and no scan is in progress - possibly already completed) null | (When action=='start'; only returns after scan completes) ` +
		`{from_height:num to_height:num relevant_blocks:[hex] completed:bool} | (when action=='status' and a scan is currently in progress) {progress:num ` +
		`current_height:num} | (when action=='abort') bool`,
	"scantxoutset": `(when action=='start'; only returns after scan completes) {success:bool txouts:num height:num bestblock:hex unspents:[{txid:hex vout:num ` +
		`scriptPubKey:hex desc:str amount:amount coinbase:bool height:num blockhash:hex confirmations:num}] total_amount:amount} | (when action=='abort') bool ` +
		`| (when action=='status' and a scan is currently in progress) {progress:num} | (when action=='status' and no scan is in progress - possibly already ` + `completed) null`,
	"sendrawtransaction": `hex`,
	"setban":             `null`,
	"setmocktime":        `null`,
	"setnetworkactive":   `bool`,
	"stop":               `str`,
	"submitblock":        `(If the block was accepted) null | (Otherwise) str`,
	"submitheader":       `null`,
	"submitpackage": `{package_msg:str tx-results:{*:{txid:hex other-wtxid?:hex vsize_adjusted?:num vsize?:num vsize_bip141?:num fees?:{base:amount ` +
		`effective-feerate?:amount effective-includes?:[hex]} error?:str}} replaced-transactions?:[hex]}`,
	"testmempoolaccept": `[{txid:hex wtxid:hex package-error?:str allowed?:bool vsize_adjusted?:num vsize?:num vsize_bip141?:num fees?:{base:amount effective-feerate:amount ` +
		`effective-includes:[hex]} reject-reason?:str reject-details?:str}]`,
	"uptime":             `num`,
	"utxoupdatepsbt":     `str`,
	"validateaddress":    `{isvalid:bool address?:str scriptPubKey?:hex isscript?:bool iswitness?:bool witness_version?:num witness_program?:hex error?:str ` + `error_locations?:[num]}`,
	"verifychain":        `bool`,
	"verifymessage":      `bool`,
	"verifytxoutproof":   `[hex]`,
	"waitforblock":       `{hash:hex height:num}`,
	"waitforblockheight": `{hash:hex height:num}`,
	"waitfornewblock":    `{hash:hex height:num}`,
}
