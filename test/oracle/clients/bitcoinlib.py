"""Calls a node by python-bitcoinlib: its RawProxy, its batches, and what its Proxy makes of
answers. The argument is JSON: where the node is and what it has. Whatever is not as the
library needs it ends this with an error."""

import json
import sys
from decimal import Decimal

from bitcoin.core import CBlock, CBlockHeader, CTransaction, b2lx, lx
from bitcoin.rpc import InvalidParameterError, JSONRPCError, Proxy, RawProxy

node = json.loads(sys.argv[1])
url = node["url"].replace("://", "://%s:%s@" % (node["user"], node["password"]))


def refused(code, call, *args):
    try:
        call(*args)
    except JSONRPCError as e:
        assert e.error["code"] == code, e
    else:
        raise AssertionError("%s: not refused" % (args,))


raw = RawProxy(url)
assert raw.getblockcount() == node["height"]
assert raw.getblockhash(1) == node["first"]
assert raw.getblockchaininfo()["bestblockhash"] == node["tip"]
assert raw.getblock(node["tip"])["tx"][1] == node["mined"]
assert raw.getblock(node["tip"], False) == raw.getblock(node["tip"], 0)
assert raw.getrawtransaction(node["mined"], 1)["blockhash"] == node["tip"]
assert isinstance(raw.gettxout(node["mined"], 90)["value"], Decimal)
assert raw.getrawmempool(True)[node["child"]]["depends"] == [node["parent"]]
assert raw.getmemoryinfo("stats")["locked"]["total"] >= 0
assert raw.estimatesmartfee(6)["feerate"] > 0
assert raw.validateaddress(node["address"])["isvalid"]
decoded = raw.decoderawtransaction(node["raw"])
assert raw.sendrawtransaction(node["raw"]) == decoded["txid"]
refused(-8, raw.getblockhash, 10**6)
refused(-5, raw.getblock, "00" * 32)
refused(-22, raw.sendrawtransaction, "00")
refused(-32601, raw.getbalance)
refused(-1, raw.getblockhash)
answers = raw._batch([{"method": "getblockhash", "params": [n], "id": n} for n in range(3)])
assert [a["id"] for a in answers] == [0, 1, 2] and answers[1]["result"] == node["first"]

# The Proxy decodes; blocks and transactions are Bitcoin's, so it can.
proxy = Proxy(url)
tip = proxy.getbestblockhash()
assert b2lx(tip) == node["tip"]
block = proxy.getblock(tip)
assert isinstance(block, CBlock) and block.GetHash() == tip and b2lx(block.vtx[1].GetTxid()) == node["mined"]
assert isinstance(proxy.getblockheader(tip), CBlockHeader)
assert isinstance(proxy.getrawtransaction(lx(node["mined"])), CTransaction)
assert lx(node["child"]) in proxy.getrawmempool()
assert proxy.getblockcount() == node["height"]
try:
    proxy.getblockhash(10**6)
except IndexError:
    pass
else:
    raise AssertionError("a block beyond the tip")
try:
    proxy.getblock(lx("00" * 32))
except IndexError:
    pass
else:
    raise AssertionError("a block that is not there")
