package types

// BlockTx is a transaction that was taken out of a block by itself.
type BlockTx struct {
	Tx  *Tx
	Raw []byte // its encoding (BIP144)
	// Before is how many inputs the transactions before it have, and Inputs how many all have,
	// neither with the coinbase's.
	Before, Inputs int
}

// DecodeBlockTx takes the transaction at a position out of a block's encoding. The others are
// passed over: nothing is allocated or hashed for them, so that this takes a small part of the
// time and memory of DecodeBlock. It refers to block, which must not change afterwards.
func DecodeBlockTx(block []byte, n int) (t BlockTx, err error) {
	d := NewDecoder(block)
	d.Bytes(HeaderSize)
	count := d.Count(minTxSize)
	if d.err == nil && (n < 0 || n >= count) {
		d.Fail("the block has %d transactions, none at %d", count, n)
	}
	for i := 0; i < count && d.err == nil; i++ {
		inputs, start := 0, d.off
		if i == n {
			t.Tx, t.Before = new(Tx), t.Inputs
			d.tx(t.Tx)
			inputs, t.Raw = len(t.Tx.Inputs), block[start:d.off:d.off]
		} else {
			inputs = d.skipTx()
		}
		if i > 0 {
			t.Inputs += inputs
		}
	}
	if err := d.Finish(); err != nil {
		return BlockTx{}, err
	}
	return t, nil
}

// skipTx passes over a transaction, and returns how many inputs it has.
func (d *Decoder) skipTx() (inputs int) {
	d.Bytes(4) // version
	inputs = d.Count(minTxInSize)
	hasWitness := false
	if inputs == 0 && d.err == nil {
		if hasWitness = d.Uint8() != 0; hasWitness {
			inputs = d.Count(minTxInSize)
		}
	}
	for i := 0; i < inputs && d.err == nil; i++ {
		d.Bytes(HashSize + 4)
		d.VarBytes()
		d.Bytes(4)
	}
	if inputs > 0 || hasWitness {
		for i := d.Count(minTxOutSize); i > 0 && d.err == nil; i-- {
			d.Bytes(8)
			d.VarBytes()
		}
	}
	if hasWitness {
		for i := 0; i < inputs && d.err == nil; i++ {
			for k := d.Count(1); k > 0 && d.err == nil; k-- {
				d.VarBytes()
			}
		}
	}
	d.Bytes(4) // lock time
	return inputs
}
