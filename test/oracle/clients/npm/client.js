// Calls a node by the client bitcoin-core, as its README shows it: RPC by position and by
// name, batches, a wallet's path, and REST. The first argument is JSON: where the node is
// and what it has. Whatever is not as the client needs it ends this with an error.
'use strict'

const assert = require('node:assert/strict')
const Client = require('bitcoin-core')

const node = JSON.parse(process.argv[2])
const login = { host: node.url, username: node.user, password: node.password }

async function refused (promise, code) {
  await assert.rejects(promise, (err) => {
    assert.equal(err.code, code, err.message)
    return true
  })
}

async function calls () {
  const network = await new Client(login).getNetworkInfo()
  const version = [Math.floor(network.version / 10000), Math.floor(network.version / 100) % 100, network.version % 100].join('.')
  const client = new Client({ ...login, version }) // so that it knows named parameters
  assert(client.hasNamedParametersSupport)

  const info = await client.getBlockchainInfo()
  assert.equal(info.blocks, node.height)
  assert.equal(info.bestblockhash, node.tip)
  assert.equal(await client.getBlockCount(), node.height)
  assert.equal(await client.getBestBlockHash(), node.tip)
  assert.equal(await client.getBlockHash(1), node.first)
  assert.equal(await client.getBlockHash({ height: 1 }), node.first)
  assert.equal((await client.getBlock(node.tip)).tx.length, 2)
  assert.equal((await client.getBlock({ blockhash: node.tip, verbosity: 2 })).tx[1].txid, node.mined)
  assert.equal((await client.getBlockHeader({ blockhash: node.tip, verbose: true })).height, node.height)
  assert(Number(await client.getDifficulty()) > 0) // the client makes texts of numbers with many digits
  assert.equal((await client.getChainTips())[0].status, 'active')
  assert.equal((await client.getTxOutSetInfo()).height, node.height)
  assert.equal((await client.getTxOut(node.mined, 90)).confirmations, 1)
  assert.equal(await client.getTxOut(node.parent, 0), null)
  assert.equal((await client.validateAddress(node.address)).isvalid, true)
  assert.equal((await client.estimateSmartFee(6)).blocks > 0, true)
  assert.deepEqual(await client.getPeerInfo(), [])
  assert.match(await client.help(), /== Blockchain ==/)
  assert.equal(typeof await client.command('uptime'), 'number')

  assert((await client.getRawMempool()).includes(node.parent))
  assert.equal((await client.getRawMempool(true))[node.child].depends[0], node.parent)
  assert.equal((await client.getMempoolEntry(node.child)).ancestorcount, 2)
  assert.equal((await client.getRawTransaction({ txid: node.mined, verbose: true })).blockhash, node.tip)
  const decoded = await client.decodeRawTransaction(node.raw)
  assert.equal(await client.sendRawTransaction(node.raw), decoded.txid)

  // In a batch each call has a result or an error of its own.
  const answers = await client.command([
    { method: 'getblockhash', parameters: [0] },
    { method: 'getblockhash', parameters: [1000000] },
    { method: 'getblockcount', parameters: [] }
  ])
  assert.equal(answers[0], node.genesis)
  assert.equal(answers[1].code, -8)
  assert.equal(answers[2], node.height)

  await refused(client.getBlockHash(1000000), -8)
  await refused(client.getBlock('00'.repeat(32)), -5)
  await refused(client.sendRawTransaction('00'), -22)
  await refused(client.command('listwallets'), -32601)
  await refused(new Client({ ...login, wallet: 'savings' }).getBalance(), -32601) // at /wallet/savings
  await refused(new Client({ ...login, password: 'guess' }).getBlockCount(), 401)
}

async function rest () {
  const client = new Client({ host: node.url }) // REST asks for no password
  assert.equal((await client.getBlockchainInformation()).bestblockhash, node.tip)
  const tx = await client.getTransactionByHash(node.mined)
  assert.equal(tx.txid, node.mined)
  const hex = (await client.getTransactionByHash(node.mined, { extension: 'hex' })).trim()
  assert.equal((await client.getTransactionByHash(node.mined, { extension: 'bin' })).toString('hex'), hex)
  assert.equal((await client.getBlockByHash(node.tip)).tx[1].txid, node.mined)
  assert.equal((await client.getBlockByHash(node.tip, { summary: true })).tx[1], node.mined)
  const block = await client.getBlockByHash(node.tip, { extension: 'bin' })
  assert.equal((await client.getBlockByHash(node.tip, { extension: 'hex' })).trim(), block.toString('hex'))
  assert.equal((await client.getBlockHeadersByHash(node.first, 3)).length, 3)
  assert.equal((await client.getBlockHeadersByHash(node.first, 3, { extension: 'bin' })).length, 240)
  const coins = await client.getUnspentTransactionOutputs([{ id: node.mined, index: 90 }, { id: node.parent, index: 0 }])
  assert.equal(coins.bitmap, '10')
  assert.equal(coins.utxos.length, 1)
  assert.equal((await client.getMemoryPoolContent())[node.child].depends[0], node.parent)
  assert((await client.getMemoryPoolInformation()).size >= 2)
  await refused(client.getBlockByHash('00'.repeat(32)), 404)
  await refused(client.getTransactionByHash('x'), 400)
}

async function main () {
  await calls()
  await rest()
}

main().catch((err) => {
  console.error(err)
  process.exitCode = 1
})
