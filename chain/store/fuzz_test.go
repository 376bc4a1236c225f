package store

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// The decoders read what a disk gives back. Whatever that is, they must not
// panic nor allocate without need, and what they accept has one encoding only.

func FuzzCoin(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		coin := coinEntry(rng.Uint64()).Coin
		f.Add(appendCoin(nil, &coin))
	}
	var empty types.Coin
	f.Add(appendCoin(nil, &empty))
	f.Add([]byte{2, 1, rawScript, 0x6a, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		coin, err := parseCoin(b)
		if err != nil {
			return
		}
		if again := appendCoin(nil, &coin); !bytes.Equal(again, b) {
			t.Errorf("%x was read as %+v, which is written as %x", b, coin, again)
		}
	})
}

func FuzzUndo(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 4 {
		var coins []types.Coin
		for range n {
			coins = append(coins, coinEntry(rng.Uint64()).Coin)
		}
		f.Add(appendUndo(nil, coins))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		coins, err := parseUndo(b)
		if err != nil {
			return
		}
		if again := appendUndo(nil, coins); !bytes.Equal(again, b) {
			t.Errorf("%x was read as %d coins, which are written as %x", b, len(coins), again)
		}
	})
}

func FuzzFramed(f *testing.F) {
	at := types.Index{Height: 7, Hash: types.Hash{1, 2, 3}}
	for _, payload := range []string{"", "x", "a body"} {
		f.Add(framed(kindBlock, at, []byte(payload)))
		f.Add(append(framed(kindUndo, at, []byte(payload)), 1, 2, 3))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, at, payload, size, err := parseRecord(b)
		if err != nil {
			if _, err := checkRecord(b, kindBlock, at); err == nil {
				t.Error("a record that cannot be read was found right")
			}
			return
		}
		if again := framed(k, at, payload); !bytes.Equal(again, b[:size]) {
			t.Errorf("%x was read as another record, %x", b[:size], again)
		}
		if got, err := checkRecord(b[:size], k, at); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("the record is not found right: %v", err)
		}
	})
}

func framed(k kind, at types.Index, payload []byte) []byte {
	return sealRecord(append(make([]byte, frameHeadSize), payload...), k, at)
}

func FuzzHeaderRecord(f *testing.F) {
	r := header.Record{Header: types.Header{Nonce: 5}, Height: 3, TxCount: 2, Status: header.StatusBody | header.StatusValid}
	r.Hash = r.Header.Hash()
	f.Add(hashKey(keyHeader, r.Hash), appendHeaderRecord(nil, &r))
	f.Add(hashKey(keyHeader, types.Hash{}), appendHeaderRecord(nil, &r))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := parseHeaderRecord(key, value)
		if err != nil {
			return
		}
		if !bytes.Equal(appendHeaderRecord(nil, &r), value) || !bytes.Equal(hashKey(key[0], r.Hash), key) {
			t.Errorf("%x with %x was read as %+v", key, value, r)
		}
		if r.Header.Hash() != r.Hash {
			t.Errorf("the header of %s has another hash", r.Hash)
		}
	})
}

// FuzzPosition is about all that says where something lies: locations, extents,
// the tip and the meta record.
func FuzzPosition(f *testing.F) {
	f.Add(hashKey(keyBlock, types.Hash{9}), appendLocation(nil, location{height: 1, segment: 2, offset: 3, length: 400}))
	f.Add(segmentKey(kindUndo, 7), appendExtent(nil, extent{end: 1 << 20, maxHeight: 77}))
	f.Add(appendKey(nil, keyTip), appendTip(nil, types.Index{Height: 5, Hash: types.Hash{1}}))
	f.Add(appendKey(nil, keyMeta), appendMeta(nil, types.Hash{1}, "main"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		same := func(what string, err error, again []byte) {
			if err == nil && !bytes.Equal(again, value) {
				t.Errorf("%s %x is written as %x", what, value, again)
			}
		}
		p, err := parseLocation(value)
		same("location", err, appendLocation(nil, p))
		if err == nil && p.length < frameSize {
			t.Errorf("a record of %d bytes", p.length)
		}
		tip, err := parseTip(value)
		same("tip", err, appendTip(nil, tip))
		schema, network, name, err := parseMeta(value)
		if schema == schemaVersion {
			same("meta", err, appendMeta(nil, network, name))
		}
		k, segment, e, err := parseSegment(key, value)
		same("extent", err, appendExtent(nil, e))
		if err == nil && !bytes.Equal(segmentKey(k, segment)[1:], key[1:]) {
			t.Errorf("key %x is written as %x", key, segmentKey(k, segment))
		}
		outPoint, err := parseCoinKey(key)
		if err == nil && !bytes.Equal(appendCoinKey(nil, &outPoint), key) {
			t.Errorf("coin key %x is written as %x", key, appendCoinKey(nil, &outPoint))
		}
	})
}

// TestCoinKeysAreInOrder: the order of keys is that of txid bytes, then index.
func TestCoinKeysAreInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var outPoints []types.OutPoint
	for range 200 {
		var o types.OutPoint
		o.TxID[rng.IntN(2)*31] = byte(rng.IntN(3))
		o.Index = []uint32{0, 1, 255, 256, 1 << 16, 1<<24 + 1, 1<<32 - 1}[rng.IntN(7)]
		outPoints = append(outPoints, o)
	}
	for i := range outPoints {
		for j := range outPoints {
			a, b := appendCoinKey(nil, &outPoints[i]), appendCoinKey(nil, &outPoints[j])
			if bytes.Compare(a, b) != compareOutPoints(&outPoints[i], &outPoints[j]) {
				t.Fatalf("%s and %s", outPoints[i], outPoints[j])
			}
		}
	}
}

// TestCoinScripts writes every kind of script that a coin can have.
func TestCoinScripts(t *testing.T) {
	var scripts [][]byte
	for length := range types.MaxCoinScriptSize + 1 {
		for _, first := range []byte{0x00, 0x01, 0x4f, 0x50, 0x51, 0x60, 0x61, 0x6a, 0xff} {
			for _, second := range []byte{0, byte(length - 2), byte(length)} {
				script := bytes.Repeat([]byte{7}, length)
				copy(script, []byte{first, second})
				scripts = append(scripts, script)
			}
		}
	}
	for _, script := range scripts {
		for _, value := range []types.Amount{0, 1, 21e14, 1<<63 - 1} {
			coin, ok := types.NewCoin(&types.TxOut{Value: value, ScriptPubKey: script}, 1<<32-1, len(script)%2 == 0)
			if !ok {
				t.Fatalf("no coin for a script of %d bytes", len(script))
			}
			got, err := parseCoin(appendCoin(nil, &coin))
			if err != nil || got != coin || !slices.Equal(got.ScriptPubKey(), script) {
				t.Fatalf("script %x, value %d: %+v, %v", script, value, got, err)
			}
		}
	}
	t.Logf("%d scripts", len(scripts))
}

// TestSegmentNames: only the very names that are written are segment files.
func TestSegmentNames(t *testing.T) {
	for _, k := range []kind{kindBlock, kindUndo} {
		for _, segment := range []uint32{0, 7, 99999, 100000, 1<<32 - 1} {
			got, n, ok := parseSegmentName(k.fileName(segment))
			if !ok || got != k || n != segment {
				t.Errorf("%s: %v %d %v", k.fileName(segment), got, n, ok)
			}
		}
	}
	for _, name := range []string{"", "blocks-1.seg", "blocks-00001.seg.bak", "blocks--0001.seg", "undo-0000a.seg", "blocks-99999999999.seg", "xblocks-00001.seg"} {
		if _, _, ok := parseSegmentName(name); ok {
			t.Errorf("%q is taken for a segment file", name)
		}
	}
}
