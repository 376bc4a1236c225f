package clients

// What programs read of answers that several of them ask for.
const (
	ofTx    = "txid:s hash:s version:i size:i vsize:i weight:i locktime:i hex:s vin:a vin.0.sequence:i vout.0.value:n vout.0.n:i vout.0.scriptPubKey.asm:s vout.0.scriptPubKey.hex:s vout.0.scriptPubKey.type:s vout.0.scriptPubKey.address:s"
	ofMined = " blockhash:s confirmations:i time:i blocktime:i"
	ofEntry = "vsize:i weight:i time:i height:i descendantcount:i descendantsize:i ancestorcount:i ancestorsize:i wtxid:s fees.base:n fees.modified:n fees.ancestor:n fees.descendant:n depends:a spentby:a bip125-replaceable:b unbroadcast:b"
	ofHead  = "hash:s confirmations:i height:i version:i versionHex:s merkleroot:s time:i mediantime:i nonce:i bits:s difficulty:n chainwork:s nTx:i previousblockhash:s"
	ofBlock = ofHead + " size:i strippedsize:i weight:i"
	ofPool  = "loaded:b size:i bytes:i usage:i total_fee:n maxmempool:i mempoolminfee:n minrelaytxfee:n incrementalrelayfee:n unbroadcastcount:i fullrbf:b"
	ofNet   = "version:i subversion:s protocolversion:i relayfee:n incrementalfee:n connections:i connections_in:i connections_out:i localservices:s localservicesnames:a networks.0.name:s networks.0.reachable:b localaddresses:a timeoffset:i warnings:a"
	ofChain = "chain:s blocks=6 headers=6 bestblockhash={tip} difficulty:n mediantime:i verificationprogress:n initialblockdownload=false chainwork:s size_on_disk:i pruned=false warnings:a"
	ofStats = "avgfee:i avgfeerate:i avgtxsize:i blockhash:s feerate_percentiles.4:i height:i ins:i maxfee:i maxfeerate:i maxtxsize:i medianfee:i mediantime:i mediantxsize:i minfee:i minfeerate:i mintxsize:i outs:i subsidy:i swtotal_size:i swtotal_weight:i swtxs:i time:i total_out:i total_size:i total_weight:i totalfee:i txs:i utxo_increase:i utxo_size_inc:i"
	ofTest  = "0.txid:s 0.wtxid:s 0.allowed=true 0.vsize:i 0.fees.base:n 0.fees.effective-feerate:n 0.fees.effective-includes:a"
	ofSent  = "package_msg=success tx-results:o tx-results.*.txid:s tx-results.*.vsize:i tx-results.*.fees.base:n replaced-transactions:a"
)

// programs lists what others' programs send, from their sources.
func programs() []program {
	return []program{lnd(), electrumX(), fulcrum(), esplora(), romanz(), mempoolSpace(), explorer(), exporter(), btcctl()}
}

// lnd: LND 0.21 that polls a bitcoind, by btcd's rpcclient; btcwallet asks by batches.
func lnd() program {
	return program{
		name:     "LND",
		head:     "POST / HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {length}\r\nAuthorization: Basic {auth}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
		envelope: `{"jsonrpc":"1.0","method":"{method}","params":{params},"id":{id}}`,
		calls: []call{
			{method: "getinfo", read: "-32601"}, // by which rpcclient tells Core from btcd
			{method: "getnetworkinfo", read: ofNet},
			{method: "getblockchaininfo", read: ofChain},
			{method: "getdeploymentinfo", read: "hash={tip} height=6 script_flags~TAPROOT script_flags~WITNESS deployments:o"},
			{method: "getblockhash", params: `[0]`, read: "={genesis}"},
			{method: "getzmqnotifications", read: "0.type=pubhashblock 0.address:s 0.hwm=10"},
			{method: "estimatesmartfee", params: `[6,"CONSERVATIVE"]`, read: "blocks:i feerate:n"},
			{method: "getmempoolinfo", read: ofPool},
			{method: "uptime", read: ":i"},
			{method: "getbestblockhash", read: "={tip}"},
			{method: "getblockcount", read: "=6"},
			{method: "getblockheader", params: `["{tip}",false]`, read: ":s"},
			{method: "getblockheader", params: `["{tip}",true]`, read: ofHead},
			{method: "getblock", params: `["{tip}",0]`, read: ":s"},
			{method: "getblock", params: `["{tip}",1]`, read: ofBlock + " tx.1:s"},
			{method: "getblock", params: `["{tip}",2]`, read: ofBlock + " tx.1.txid:s tx.1.fee:n"},
			{method: "getblockhash", params: `[[0],[1],[2]]`, batch: true, read: ":s"},
			{method: "getblockheader", params: `[["{first}",true],["{tip}",true]]`, batch: true, read: ofHead},
			{method: "getpeerinfo", read: ":a"},
			{method: "getrawmempool", params: `[false]`, read: "1:s"},
			{method: "getrawtransaction", params: `["{parent}",0]`, read: ":s"},
			{method: "getrawtransaction", params: `[["{parent}"],["{child}"]]`, batch: true, read: ":s"},
			{method: "getrawtransaction", params: `["{mined}",1]`, read: ofTx + ofMined},
			{method: "gettxout", params: `["{coinbase}",0,true]`, read: ":z"},
			{method: "gettxout", params: `["{mined}",90,true]`, read: "bestblock:s confirmations:i value:n scriptPubKey.hex:s scriptPubKey.type:s coinbase:b"},
			{method: "testmempoolaccept", params: `[["{raw}"],0.1]`, read: ofTest},
			{method: "sendrawtransaction", params: `["{raw}",0]`, read: ":s"},
			{method: "gettxspendingprevout", params: `[[{"txid":"{parent}","vout":0}]]`, read: "0.txid:s 0.vout:i 0.spendingtxid={child}"},
			{method: "submitpackage", params: `[[{package}],null,null]`, read: ofSent},
			{method: "getblockfilter", params: `["{tip}","basic"]`, read: "filter:s header:s"},
		},
	}
}

// electrumX: ElectrumX 1.20 and 2.0b1, by aiohttp. It takes an answer for JSON only if the
// kind of its content is exactly application/json.
func electrumX() program {
	return program{
		name:     "ElectrumX",
		head:     "POST / HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Basic {auth}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: Python/3.11 aiohttp/3.9.5\r\nContent-Length: {length}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		envelope: `{"method": "{method}", "id": {id}, "params": {params}}`,
		bare:     `{"method": "{method}", "id": {id}}`,
		calls: []call{
			{method: "getnetworkinfo", read: ofNet},
			{method: "getindexinfo", read: "txindex.synced=true txospenderindex.synced=true txindex.best_block_height=6"},
			{method: "getblockcount", read: "=6"},
			{method: "getblockhash", params: `[[0],[1],[2],[3],[4],[5],[6]]`, batch: true, read: ":s"},
			{method: "getblock", params: `[["{genesis}",false],["{first}",false],["{tip}",false]]`, batch: true, read: ":s"},
			{method: "getblock", params: `["{tip}", true]`, read: ofBlock + " tx.0:s"},
			{method: "getrawmempool", read: "1:s"},
			{method: "getrawmempool", params: `[true]`, read: "*.vsize:i *.fees.base:n *.depends:a"},
			{method: "getmempoolinfo", read: ofPool},
			{method: "getrawtransaction", params: `[["{parent}",0],["{child}",0],["{mined}",0]]`, batch: true, read: ":s"},
			{method: "getrawtransaction", params: `["{mined}", 1]`, read: ofTx + ofMined},
			{method: "getrawtransaction", params: `["{parent}", 1]`, read: ofTx},
			{method: "getrawtransaction", params: `["{tip}", 0]`, read: "-5"},
			{method: "estimatesmartfee", read: "-1"}, // it asks so whether there is such a method
			{method: "estimatesmartfee", params: `[6]`, read: "blocks:i feerate:n"},
			{method: "estimatesmartfee", params: `[6, "ECONOMICAL"]`, read: "feerate:n"},
			{method: "gettxspendingprevout", params: `[[{"txid": "{spent}", "vout": 0}], {"mempool_only": false}]`, read: "0.txid={spent} 0.vout=0 0.spendingtxid={mined} 0.blockhash={tip}"},
			{method: "gettxspendingprevout", params: `[[{"txid": "{parent}", "vout": 0}], {"mempool_only": false}]`, read: "0.spendingtxid={child}"},
			{method: "testmempoolaccept", params: `[["{raw}"]]`, read: ofTest},
			{method: "sendrawtransaction", params: `["{raw}"]`, read: ":s"},
			{method: "sendrawtransaction", params: `["00"]`, read: "-22"},
			{method: "submitpackage", params: `[[{package}]]`, read: ofSent},
		},
	}
}

// fulcrum: Fulcrum 2.1. Its own HTTP wants 200 or 500 and both Content-Type and
// Content-Length; a body ends with a line's end.
func fulcrum() program {
	return program{
		name:     "Fulcrum",
		head:     "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json-rpc\r\nAuthorization: Basic {auth}\r\nContent-Length: {length}\r\n\r\n",
		envelope: `{"id":{id},"method":"{method}","params":{params}}`,
		end:      "\r\n",
		calls: []call{
			{method: "getnetworkinfo", read: ofNet},
			{method: "getblockhash", params: `[0]`, read: "={genesis}"},
			{method: "getzmqnotifications", read: "0.type=pubhashblock 0.address:s 0.hwm=10"},
			{method: "getdsprooflist", params: `[0]`, read: "-32601"}, // it asks so whether there is such a method
			{method: "uptime", read: ":i"},
			{method: "help", params: `["help"]`, read: ":s"},
			{method: "getblockchaininfo", read: ofChain},
			{method: "getblock", params: `["{tip}",false]`, read: ":s"},
			{method: "getblockheader", params: `["{tip}",true]`, read: ofHead},
			{method: "getrawmempool", params: `[false]`, read: "1:s"},
			{method: "getrawtransaction", params: `["{parent}",false]`, read: ":s"},
			{method: "getrawtransaction", params: `["{mined}",true]`, read: ofTx + ofMined},
			{method: "getmempoolinfo", read: ofPool},
			{method: "getmempoolentry", params: `["{parent}"]`, read: ofEntry},
			{method: "estimatesmartfee", params: `[6]`, read: "feerate:n"},
			{method: "estimatesmartfee", params: `[6,"ECONOMICAL"]`, read: "feerate:n"},
			{method: "gettxspendingprevout", params: `[[{"txid":"{spent}","vout":0}],{"mempool_only":false}]`, read: "0.spendingtxid={mined} 0.blockhash={tip}"},
			{method: "sendrawtransaction", params: `["{raw}",0.1,21000000]`, read: ":s"},
			{method: "submitpackage", params: `[[{package}],0.1,21000000]`, read: ofSent},
			{method: "getblockstats", params: `[3]`, read: ofStats},
		},
	}
}

// esplora: Blockstream's electrs. It writes bare line feeds and no Host, always asks by
// a batch whose calls all have one id, and takes "HTTP/1.1 200 OK" to the byte.
func esplora() program {
	return program{
		name:     "Esplora",
		head:     "POST / HTTP/1.1\nAuthorization: Basic {auth}\nContent-Length: {length}\n\n",
		envelope: `{"id":{id},"method":"{method}","params":{params}}`,
		batch:    true,
		calls: []call{
			{method: "getnetworkinfo", params: `[]`, read: ofNet},
			{method: "getblockchaininfo", params: `[]`, read: ofChain},
			{method: "getbestblockhash", params: `[]`, read: ":s"},
			{method: "getblockheader", params: `["{tip}"]`, read: ofHead},
			{method: "getblockheader", params: `["{tip}",false]`, read: ":s"},
			{method: "getblockhash", params: `[[0],[1],[2]]`, batch: true, read: ":s"},
			{method: "getblockheader", params: `[["{genesis}",false],["{first}",false]]`, batch: true, read: ":s"},
			{method: "getblock", params: `["{tip}",false]`, read: ":s"},
			{method: "getblock", params: `["{tip}",1]`, read: ofBlock + " tx.0:s"},
			{method: "getmempoolinfo", params: `[]`, read: ofPool},
			{method: "getrawmempool", params: `[false]`, read: "1:s"},
			{method: "getrawtransaction", params: `[["{parent}",false],["{child}",false]]`, batch: true, read: ":s"},
			{method: "getrawtransaction", params: `["{mined}",true,"{tip}"]`, read: ofTx + ofMined + " in_active_chain:b"},
			{method: "sendrawtransaction", params: `["{raw}"]`, read: ":s"},
			{method: "estimatesmartfee", params: `[[1],[2],[6],[144],[1008]]`, batch: true, read: "feerate:n blocks:i"},
			{method: "testmempoolaccept", params: `[["{raw}"]]`, read: ofTest},
			{method: "submitpackage", params: `[[{package}]]`, read: ofSent},
		},
	}
}

// romanz: electrs 0.11, by rust-jsonrpc. What it leaves open is null.
func romanz() program {
	return program{
		name:     "electrs",
		head:     "POST / HTTP/1.1\r\nhost: {host}:{port}\r\nAuthorization: Basic {auth}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
		envelope: `{"method":"{method}","params":{params},"id":{id},"jsonrpc":"2.0"}`,
		calls: []call{
			{method: "getblockchaininfo", read: ofChain},
			{method: "getnetworkinfo", read: ofNet},
			{method: "getmempoolinfo", read: ofPool},
			{method: "getrawmempool", read: "1:s"},
			{method: "getmempoolentry", params: `[["{parent}"],["{child}"]]`, batch: true, read: ofEntry},
			{method: "getrawtransaction", params: `[["{parent}"],["{child}"]]`, batch: true, read: ":s"},
			{method: "getrawtransaction", params: `["{mined}",true,null]`, read: ofTx + ofMined},
			{method: "getrawtransaction", params: `["{mined}",false,"{tip}"]`, read: ":s"},
			{method: "getblock", params: `["{tip}",1]`, read: "tx.1:s"},
			{method: "estimatesmartfee", params: `[6,null]`, read: "feerate:n blocks:i"},
			{method: "sendrawtransaction", params: `["{raw}"]`, read: ":s"},
			{method: "submitpackage", params: `[[{package}]]`, read: ofSent},
		},
	}
}
