package consensus

import (
	"bytes"
	"fmt"
	"math/big"
	"path"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// Blocks of Bitcoin: encoding, ids, roots, weight and work. All break R1 and
// nothing else that needs no context.
func TestVectorsRealBlocks(t *testing.T) {
	params := regtest(t)
	params.PowLimit = hexUint256(t, mainnetLimit)
	blocks, committed := 0, 0
	for _, name := range vectors.Files(t, "real/blocks/index.json") {
		var index []struct {
			File, Hash, Bits string
			TxList           string `json:"tx_list"`
			WitnessRoot      string `json:"witness_merkle_root"`
			Commitment       *bool  `json:"witness_commitment_valid"`
			Weight, Size     int
			Stripped         int  `json:"stripped_size"`
			TxCount          int  `json:"n_tx"`
			Work             bool `json:"pow_valid_under_mainnet_limit"`
		}
		vectors.ReadJSON(t, name, &index)
		for _, v := range index {
			if path.Ext(v.File) != ".raw" {
				continue // TestVectorsRealChains
			}
			raw := vectors.ReadFile(t, path.Join("real", v.File))
			b, err := DecodeBlock(raw)
			if err != nil {
				t.Fatalf("%s: %v", v.File, err)
			}
			if again := HashBlock(b.Block); !bytes.Equal(again.Raw, raw) || again.Hash != b.Hash || again.Weight != b.Weight {
				t.Errorf("%s: the encoding changes", v.File)
			}
			root, _ := types.MerkleRoot(b.WTxIDs)
			if b.Hash.String() != v.Hash || b.Weight != v.Weight || len(raw) != v.Size || strippedSize(b) != v.Stripped ||
				len(b.TxIDs) != v.TxCount || root.String() != v.WitnessRoot || b.Block.Header.Bits != hexUint32(t, v.Bits) {
				t.Errorf("%s: hash, sizes or witness root differ", v.File)
			}
			checkTxList(t, path.Join("real", v.TxList), b)
			if err := CheckHeader(params, &b.Block.Header, b.Hash); (err == nil) != v.Work {
				t.Errorf("%s: proof of work: %v", v.File, err)
			}
			expect(t, CheckBlock(params, b), "bad-txns-vout-script", ErrInvalid)
			if v.Commitment != nil { // the others are from before BIP141
				if err := checkWitnessCommitment(b); err != nil {
					t.Errorf("%s: %v", v.File, err)
				}
				committed++
				// Every byte of a witness is committed to.
				b.WTxIDs[len(b.WTxIDs)-1][0] ^= 1
				expect(t, checkWitnessCommitment(b), "bad-witness-merkle-match", ErrMutated)
			}
			blocks++
		}
	}
	vectors.Ran(t, blocks, "blocks")
	if committed == 0 {
		t.Error("no block has a witness commitment")
	}
}

// The first blocks of Bitcoin, and a regtest chain of Core's: linked, worked for
// and whole, up to R1.
func TestVectorsRealChains(t *testing.T) {
	chains := map[string][]*HashedBlock{}
	for _, name := range vectors.Files(t, "real/blocks/*.dat") {
		chains[name] = readBlocks(t, name)
	}
	for _, name := range vectors.Files(t, "real/blocks/regtest-*.txt") {
		for _, line := range strings.Fields(string(vectors.ReadFile(t, name))) {
			b, err := DecodeBlock(vectors.Hex(t, line))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			chains[name] = append(chains[name], b)
		}
	}
	params := regtest(t)
	blocks, allowed := 0, 0
	for name, chain := range chains {
		for i, b := range chain {
			if i > 0 && b.Block.Header.PrevBlock != chain[i-1].Hash {
				t.Errorf("%s: block %d does not follow the one before", name, i)
			}
			if err := CheckHeader(params, &b.Block.Header, b.Hash); err != nil {
				t.Errorf("%s: block %d: %v", name, i, err)
			}
			forbidden := false
			for j := range b.Block.Txs {
				forbidden = forbidden || certainlyForbidden(&b.Block.Txs[j])
			}
			if err := CheckBlock(params, b); forbidden {
				expect(t, err, "bad-txns-vout-script", ErrInvalid)
			} else if allowed++; err != nil {
				t.Errorf("%s: block %d: %v", name, i, err)
			}
			blocks++
		}
	}
	vectors.Ran(t, blocks, "blocks")
	t.Logf("%d of them keep R1", allowed)
}

func checkTxList(t *testing.T, name string, b *HashedBlock) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(string(vectors.ReadFile(t, name))), "\n") {
		tx := &b.Block.Txs[i]
		wtxid := b.WTxIDs[i]
		if i == 0 {
			wtxid = tx.WTxID() // the tree has zero in its place
		}
		if got := fmt.Sprint(b.TxIDs[i], " ", wtxid, " ", tx.Weight(), " ", tx.Size()); got != line {
			t.Errorf("%s: transaction %d: %s, want %s", name, i, got, line)
		}
	}
}

// Cumulative work along Bitcoin's own chain.
func TestVectorsHeaders(t *testing.T) {
	params := regtest(t)
	params.PowLimit = hexUint256(t, mainnetLimit)
	headers := 0
	for _, name := range vectors.Files(t, "real/headers/mainnet-0-*.txt") {
		var work Uint256
		for _, line := range strings.Split(strings.TrimSpace(string(vectors.ReadFile(t, name))), "\n") {
			fields := strings.Fields(line)
			work = work.Add(checkedHeader(t, params, fields[1], fields[2]))
			if work.String() != fields[3] {
				t.Fatalf("height %s: work %s, want %s", fields[0], work, fields[3])
			}
			headers++
		}
	}
	for _, name := range vectors.Files(t, "real/headers/*-checkpoints.json") {
		var file struct {
			Checkpoints []struct {
				Height                  int
				Header, Hash, Chainwork string
			}
		}
		vectors.ReadJSON(t, name, &file)
		if strings.HasPrefix(path.Base(name), "signet") {
			params.PowLimit = hexUint256(t, "00000377ae000000000000000000000000000000000000000000000000000000")
		} else {
			params.PowLimit = hexUint256(t, mainnetLimit)
		}
		var last, lastTotal *big.Int
		for _, v := range file.Checkpoints {
			work := checkedHeader(t, params, v.Header, v.Hash).Big()
			total := hexUint256(t, v.Chainwork).Big()
			if last != nil {
				// 2015 more blocks like the last checkpoint, then this one.
				want := new(big.Int).Mul(last, big.NewInt(2015))
				if want.Add(want, work).Add(want, lastTotal).Cmp(total) != 0 {
					t.Errorf("%s: height %d: work differs", name, v.Height)
				}
			}
			last, lastTotal = work, total
			headers++
		}
	}
	vectors.Ran(t, headers, "headers")
}

func checkedHeader(t *testing.T, params *Params, encoded, hash string) Uint256 {
	t.Helper()
	header, err := types.DecodeHeader(vectors.Hex(t, encoded))
	if err != nil {
		t.Fatal(err)
	}
	if header.Hash().String() != hash {
		t.Fatalf("hash %s, want %s", header.Hash(), hash)
	}
	if err := CheckHeader(params, &header, header.Hash()); err != nil {
		t.Errorf("%s: %v", hash, err)
	}
	return BlockWork(header.Bits)
}
