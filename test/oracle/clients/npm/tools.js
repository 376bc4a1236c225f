// Does what a test asks of the tools that JavaScript people use: bitcoinjs-lib,
// @scure/btc-signer, @bitcoinerlab/descriptors. Standard input is a JSON array of tasks,
// each with the name of one as "do"; standard output is the array of the answers. Whatever
// a tool does not take ends this with its error.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const bitcoin = require('bitcoinjs-lib')
const ecc = require('@bitcoinerlab/secp256k1')
const { BIP32Factory } = require('bip32')

bitcoin.initEccLib(ecc)
const bip32 = BIP32Factory(ecc)
const network = bitcoin.networks.regtest
const unhex = (text) => Uint8Array.from(Buffer.from(text, 'hex'))
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const xonly = (key) => key.length === 33 ? key.subarray(1) : key
const same = (a, b) => hex(a) === hex(b)

// seedOf is BIP39's, of words without a passphrase.
const seedOf = (words) => crypto.pbkdf2Sync(words, 'mnemonic', 2048, 64, 'sha512')

const tasks = {
  // bitcoinjs-lib: what it reads of a PSBT, as the test compares it.
  bitcoinjsRead ({ psbt }) {
    const p = bitcoin.Psbt.fromBase64(psbt, { network })
    assert.equal(p.toBase64(), psbt, 'bitcoinjs-lib writes another PSBT than it reads')
    return p.data.inputs.map((input, i) => ({
      txid: hex(Uint8Array.from(p.txInputs[i].hash).reverse()),
      amount: Number(input.witnessUtxo.value),
      script: hex(input.witnessUtxo.script),
      internalKey: input.tapInternalKey && hex(input.tapInternalKey),
      leaves: (input.tapLeafScript || []).map((leaf) => hex(leaf.script)),
      paths: (input.tapBip32Derivation || []).map((d) => hex(d.masterFingerprint) + d.path.slice(1))
    }))
  },

  // bitcoinjs-lib signs each input by what its derivations say.
  bitcoinjsSign ({ psbt, words }) {
    const p = bitcoin.Psbt.fromBase64(psbt, { network })
    const root = bip32.fromSeed(seedOf(words), network)
    let signed = 0
    p.data.inputs.forEach((input, i) => {
      for (const d of input.tapBip32Derivation || []) {
        if (!same(d.masterFingerprint, root.fingerprint)) continue
        const key = root.derivePath(d.path)
        assert(same(xonly(key.publicKey), d.pubkey), 'a derivation leads to another key')
        if (d.leafHashes.length === 0) {
          p.signTaprootInput(i, key.tweak(bitcoin.crypto.taggedHash('TapTweak', xonly(key.publicKey))))
        } else {
          for (const leafHash of d.leafHashes) p.signTaprootInput(i, key, leafHash)
        }
        signed++
      }
    })
    assert(signed > 0, 'nothing was signed')
    return p.toBase64()
  },

  bitcoinjsCombine ({ psbts }) {
    const [first, ...rest] = psbts.map((text) => bitcoin.Psbt.fromBase64(text, { network }))
    return first.combine(...rest).toBase64()
  },

  bitcoinjsFinalize ({ psbt }) {
    const p = bitcoin.Psbt.fromBase64(psbt, { network }).finalizeAllInputs()
    return { psbt: p.toBase64(), tx: p.extractTransaction(true).toHex() }
  },

  // bitcoinjs-lib makes a PSBT of coins of a BIP86 account.
  bitcoinjsMake ({ words, coins, pay, amount }) {
    const root = bip32.fromSeed(seedOf(words), network)
    const p = new bitcoin.Psbt({ network })
    coins.forEach(({ txid, amount, path }) => {
      const key = xonly(root.derivePath(path).publicKey)
      const { output } = bitcoin.payments.p2tr({ internalPubkey: key, network })
      p.addInput({
        hash: txid,
        index: 0,
        sequence: 0xfffffffd,
        witnessUtxo: { script: output, value: BigInt(amount) },
        tapInternalKey: key,
        tapBip32Derivation: [{ masterFingerprint: root.fingerprint, pubkey: key, path, leafHashes: [] }]
      })
    })
    p.addOutput({ address: pay, value: BigInt(amount) })
    return p.toBase64()
  },

  // @scure/btc-signer signs, in the version of PSBT that it was given or another.
  async scureSign ({ psbt, words, version }) {
    const { Transaction } = await import('@scure/btc-signer')
    const { HDKey } = await import('@scure/bip32')
    const versions = { private: network.bip32.private, public: network.bip32.public }
    const tx = Transaction.fromPSBT(Buffer.from(psbt, 'base64'))
    assert(tx.sign(HDKey.fromMasterSeed(seedOf(words), versions)) > 0, 'nothing was signed')
    return Buffer.from(tx.toPSBT(version)).toString('base64')
  },

  async scureCombine ({ psbts, version }) {
    const { Transaction } = await import('@scure/btc-signer')
    const [first, ...rest] = psbts.map((text) => Transaction.fromPSBT(Buffer.from(text, 'base64')))
    rest.forEach((other) => first.combine(other))
    return Buffer.from(first.toPSBT(version)).toString('base64')
  },

  async scureFinalize ({ psbt }) {
    const { Transaction } = await import('@scure/btc-signer')
    const tx = Transaction.fromPSBT(Buffer.from(psbt, 'base64'))
    tx.finalize()
    return { psbt: Buffer.from(tx.toPSBT()).toString('base64'), tx: tx.hex }
  },

  // What @scure/btc-signer makes of an output's key and leaves.
  async scureMultisig ({ keys, threshold }) {
    const btc = await import('@scure/btc-signer')
    const tree = btc.p2tr(undefined, btc.p2tr_ms(threshold, keys.map(unhex)), network)
    return { script: hex(tree.script), leaf: hex(tree.leaves[0].script) }
  },

  // @bitcoinerlab/descriptors: the scripts of a descriptor, whose checksum it verifies.
  async descriptor ({ descriptor, branches, indexes }) {
    const library = await import('@bitcoinerlab/descriptors')
    const { Output } = library.DescriptorsFactory(ecc)
    assert.equal(library.checksum(descriptor.split('#')[0]), descriptor.split('#')[1])
    const scripts = []
    for (let branch = 0; branch < branches; branch++) {
      for (const index of indexes) {
        const change = descriptor.includes('<') ? { change: branch } : {}
        scripts.push(hex(new Output({ descriptor, index, network, ...change }).getScriptPubKey()))
      }
    }
    return scripts
  },

  // Labels are lines of JSON (BIP329), for which people take no library.
  labels ({ lines }) {
    const labels = lines.trim().split('\n').map((line) => JSON.parse(line))
    return { labels, lines: labels.map((label) => JSON.stringify(label)).join('\n') + '\n' }
  }
}

async function main () {
  let input = ''
  for await (const part of process.stdin) input += part
  const answers = []
  for (const task of JSON.parse(input)) answers.push(await tasks[task.do](task))
  process.stdout.write(JSON.stringify(answers))
}

main().catch((err) => {
  console.error(err)
  process.exit(1)
})
