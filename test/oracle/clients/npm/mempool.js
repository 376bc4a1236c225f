// Calls a node's /api by @mempool/mempool.js, all that it has but Lightning, Liquid, its
// WebSocket and what mempool.space alone has. The first argument is JSON: where the node is
// and what it has. Whatever is not as the client needs it ends this with an error.
'use strict'

const assert = require('node:assert/strict')
const client = require('@mempool/mempool.js')

const node = JSON.parse(process.argv[2])
const { bitcoin: { addresses, blocks, fees, mempool, transactions } } = client({ hostname: node.host, protocol: 'http' })

async function ofAddresses () {
  const { address } = node
  const info = await addresses.getAddress({ address })
  assert.equal(info.address, address)
  assert.equal(info.chain_stats.tx_count, 7)
  assert.equal(info.mempool_stats.tx_count, 2)
  const ids = (list) => list.map((tx) => tx.txid)
  const all = ids(await addresses.getAddressTxs({ address }))
  assert.deepEqual(all.slice(0, 3), [node.child, node.parent, node.mined])
  assert.equal(all.length, 9)
  assert.deepEqual(ids(await addresses.getAddressTxs({ address, after_txid: node.mined })), all.slice(3))
  assert.deepEqual(ids(await addresses.getAddressTxsChain({ address })), all.slice(2))
  assert.deepEqual(ids(await addresses.getAddressTxsMempool({ address })), all.slice(0, 2))
  const coins = await addresses.getAddressTxsUtxo({ address })
  assert(coins.some((coin) => coin.txid === node.child && !coin.status.confirmed))
}

async function ofBlocks () {
  const hash = node.tip
  assert.equal(await blocks.getBlocksTipHeight(), 6)
  assert.equal(await blocks.getBlocksTipHash(), hash)
  assert.equal(await blocks.getBlockHeight({ height: 1 }), node.first)
  const block = await blocks.getBlock({ hash })
  assert.equal(block.id, hash)
  assert.equal(block.height, 6)
  assert.equal(block.tx_count, 2)
  assert.equal((await blocks.getBlockStatus({ hash: node.first })).in_best_chain, true)
  assert.equal((await blocks.getBlockTxs({ hash, start_index: 0 }))[1].txid, node.mined)
  assert.deepEqual((await blocks.getBlockTxids({ hash })).slice(1), [node.mined])
  assert.equal(await blocks.getBlockTxid({ hash, index: 1 }), node.mined)
  assert.equal((await blocks.getBlockHeader({ hash })).length, 160)
  assert(await blocks.getBlockRaw({ hash }))
  const list = await blocks.getBlocks({ start_height: 5 })
  assert.equal(list[0].height, 5)
  assert.equal(list[5].id, node.genesis)
}

async function ofTransactions () {
  const txid = node.mined
  const tx = await transactions.getTx({ txid })
  assert.equal(tx.status.block_hash, node.tip)
  assert.equal(tx.vin[0].prevout.scriptpubkey_address, node.address)
  assert.equal((await transactions.getTxStatus({ txid: node.child })).confirmed, false)
  assert.match(await transactions.getTxHex({ txid }), /^[0-9a-f]+$/)
  assert(await transactions.getTxRaw({ txid }))
  assert.match(await transactions.getTxMerkleBlockProof({ txid }), /^[0-9a-f]+$/)
  assert.equal((await transactions.getTxMerkleProof({ txid })).pos, 1)
  assert.equal((await transactions.getTxOutspend({ txid, vout: 0 })).txid, node.parent)
  assert.equal((await transactions.getTxOutspends({ txid })).length, tx.vout.length)
  assert.match(await transactions.postTx({ txhex: node.raw }), /^[0-9a-f]{64}$/)
  await assert.rejects(transactions.postTx({ txhex: '00' }), (err) => err.response.status === 400)
}

async function ofThePool () {
  assert.equal((await mempool.getMempool()).count, 2)
  assert((await mempool.getMempoolTxids()).includes(node.child))
  assert.equal((await mempool.getMempoolRecent())[0].txid, node.child)
  const recommended = await fees.getFeesRecommended()
  assert(recommended.fastestFee >= recommended.minimumFee && recommended.minimumFee >= 1)
}

ofAddresses().then(ofBlocks).then(ofThePool).then(ofTransactions).catch((err) => {
  console.error(err)
  process.exit(1)
})
