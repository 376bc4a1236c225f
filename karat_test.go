package karat

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const krt = types.Amount(100_000_000)

func parse(t *testing.T, file []byte) *consensus.Params {
	t.Helper()
	p, err := consensus.ParseParams(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The figures of the network "main", as they were decided. The hash and the
// identity hold everything else.
func TestMainNetwork(t *testing.T) {
	p := parse(t, MainGenesis)
	if p.Name != "main" || p.HRP != "krt" || p.TargetSpacing != 60 || p.InitialSubsidy != 10*krt || p.HalvingInterval != 2_100_000 ||
		p.CoinbaseMaturity != 100 || p.MaxBlockWeight != 4_000_000 || p.MaxMoney != 42_000_000*krt {
		t.Errorf("main is %+v", p)
	}
	if p.Difficulty != (consensus.Difficulty{Algorithm: "asert", HalfLife: 12 * 60 * 60}) {
		t.Errorf("main's difficulty is %+v", p.Difficulty)
	}
	if coins := p.GenesisCoins(); len(coins) != 0 {
		t.Errorf("main allocates %v", coins)
	}
	genesis := p.GenesisBlock()
	if got := genesis.Hash.String(); got != "000007b54fc744f504de3c35733e27dcf42d2d7469a04c1e0ba6fa8797c926d7" {
		t.Errorf("main's genesis block is %s", got)
	}
	if got := p.Identity().String(); got != "639568fb916e73f7f0924ee55184d11921b9665f57a29ff68cee8f762cd122a0" {
		t.Errorf("main's identity is %s", got)
	}
}

// The network "dev" pays to the keys that the documentation names: of each
// SHA-256("karat dev key n"), n from 0, the output of BIP86, which can be spent
// by the key alone.
func TestDevNetwork(t *testing.T) {
	p := parse(t, DevGenesis)
	if p.Name != "dev" || p.HRP != "krtd" || p.Difficulty.Algorithm != "fixed" || p.Genesis.Bits != 0x207fffff {
		t.Errorf("dev is %+v", p)
	}
	coins := p.GenesisCoins()
	if len(coins) != 10 {
		t.Fatalf("dev allocates %d coins", len(coins))
	}
	for n, entry := range coins {
		secret := sha256.Sum256(fmt.Appendf(nil, "karat dev key %d", n))
		_, public := btcec.PrivKeyFromBytes(secret[:])
		internal := schnorr.SerializePubKey(public)
		script := append([]byte{0x51, 32}, outputKey(t, internal)...)
		if !bytes.Equal(entry.Coin.ScriptPubKey(), script) || entry.Coin.Value != 100_000*krt || entry.OutPoint.Index != uint32(n) {
			t.Errorf("allocation %d is %s to %x, want it to %x", n, entry.Coin.Value, entry.Coin.ScriptPubKey(), script)
		}
		address, err := taproot.EncodeAddress("krtd", script)
		if err != nil || !bytes.Contains(DevGenesis, []byte(address)) {
			t.Errorf("dev.json has no address %s (%v)", address, err)
		}
	}
	if got := p.GenesisBlock().Hash.String(); got != "61b5e9804b245834e8997f17fe3601832f1fbb6d2497d7d9e8336df7810e5009" {
		t.Errorf("dev's genesis block is %s", got)
	}
	if main := parse(t, MainGenesis); main.Identity() == p.Identity() || main.Magic == p.Magic || main.Ports == p.Ports {
		t.Error("dev can be taken for main")
	}
}

// outputKey tweaks a key as BIP341 does without a script tree.
func outputKey(t *testing.T, internal []byte) []byte {
	t.Helper()
	tag := sha256.Sum256([]byte("TapTweak"))
	tweak := sha256.Sum256(append(append(tag[:], tag[:]...), internal...))
	var scalar btcec.ModNScalar
	if scalar.SetByteSlice(tweak[:]) {
		t.Fatal("the tweak overflows")
	}
	key, err := schnorr.ParsePubKey(internal)
	if err != nil {
		t.Fatal(err)
	}
	var point, shift, sum btcec.JacobianPoint
	key.AsJacobian(&point)
	btcec.ScalarBaseMultNonConst(&scalar, &shift)
	btcec.AddNonConst(&point, &shift, &sum)
	sum.ToAffine()
	return schnorr.SerializePubKey(btcec.NewPublicKey(&sum.X, &sum.Y))
}
