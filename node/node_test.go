package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/bootstrap"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/vectors"
)

const regtest = "../testdata/bitcoin-regtest.json"

func openNode(t testing.TB, dir, network string, prune int64, moreIndexes ...string) *Node {
	t.Helper()
	params, err := karat.LoadNetwork(network)
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(context.Background(), Config{DataDir: dir, Params: params, PruneBytes: prune, Indexes: append(moreIndexes, indexed.Txs, indexed.Filters), BlockMinFeeRate: DefaultBlockMinFeeRate})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func importFiles(t testing.TB, n *Node, files ...string) ImportSummary {
	t.Helper()
	summary, err := n.Import(context.Background(), files, func(ImportProgress) {})
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// emptyBlocks builds a chain of coinbases on the network's genesis block.
func emptyBlocks(params *consensus.Params, n int) [][]byte {
	tree := chaintest.NewTree(params.GenesisBlock().Block)
	tree.Reward = func(uint32, types.Amount) []types.TxOut {
		return []types.TxOut{{Value: 1, ScriptPubKey: tree.Anyone()}}
	}
	raws := [][]byte{tree.Genesis.Raw}
	for _, b := range tree.Blocks("", tree.Genesis, n) {
		raws = append(raws, b.Raw)
	}
	return raws
}

func writeBlocks(t testing.TB, params *consensus.Params, raws [][]byte) string {
	t.Helper()
	var buf bytes.Buffer
	for _, raw := range raws {
		if err := bootstrap.Write(&buf, params.Magic, raw); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "blocks.dat")
	if err := os.WriteFile(name, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func coinsOf(t testing.TB, n *Node) CoinSet {
	t.Helper()
	set, err := n.Coins(context.Background(), func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestImportInAnyOrderAndExport(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	raws := emptyBlocks(params, 150)
	inOrder := writeBlocks(t, params, raws)
	original, err := os.ReadFile(inOrder)
	if err != nil {
		t.Fatal(err)
	}
	var want CoinSet
	for seed := range uint64(4) {
		shuffled := slices.Clone(raws)
		if seed > 0 {
			r := rand.New(rand.NewPCG(seed, 0))
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		}
		n := openNode(t, t.TempDir(), "dev", 0)
		name := writeBlocks(t, params, shuffled)
		if seed == 3 {
			name = pipe(t, name) // cannot be read twice: blocks wait in the spool
		}
		if s := importFiles(t, n, name); s.Accepted != 150 || s.Waiting != 0 || len(s.Refused) != 0 {
			t.Fatalf("seed %d: %+v", seed, s)
		}
		if s := importFiles(t, n, inOrder); s.Accepted != 0 || s.Known != 151 {
			t.Fatalf("again: %+v", s)
		}
		var exported bytes.Buffer
		if _, err := n.Export(context.Background(), &exported, func(int, int) {}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(exported.Bytes(), original) {
			t.Errorf("seed %d: the export differs from what was imported", seed)
		}
		set := coinsOf(t, n)
		if seed == 0 {
			want = set
		}
		if set != want || set.At.Height != 150 || set.Stats.TxOuts != 160 {
			t.Errorf("seed %d: coins %+v, want %+v", seed, set, want)
		}
		closeNode(t, n)
	}
}

// TestImportFromASilentPipe: an import that waits for its input can be stopped, and
// what came before is kept.
func TestImportFromASilentPipe(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(name); err != nil {
		t.Fatal(err)
	}
	raws := emptyBlocks(params, 5)
	silent := make(chan struct{})
	defer close(silent)
	go func() {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer w.Close()
		for _, raw := range raws {
			if err := bootstrap.Write(w, params.Magic, raw); err != nil {
				t.Error(err)
			}
		}
		<-silent
	}()
	n := openNode(t, t.TempDir(), "dev", 0)
	defer closeNode(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	poke, unsubscribe := n.Chain().Subscribe()
	defer unsubscribe()
	go func() {
		for n.Chain().Tip().Height < 5 {
			<-poke
		}
		cancel()
	}()
	s, err := n.Import(ctx, []string{name}, func(ImportProgress) {})
	if !errors.Is(err, context.Canceled) || s.Accepted != 5 || n.Chain().Tip().Height != 5 {
		t.Errorf("%v, %+v, tip %s", err, s, n.Chain().Tip())
	}
}

// pipe serves a file through a named pipe.
func pipe(t testing.TB, file string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(name); err != nil {
		t.Fatal(err)
	}
	go func() {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}()
	return name
}

func TestImportRefusesAndGoesOn(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	raws := emptyBlocks(params, 20)
	bad := bytes.Clone(raws[10])
	bad[len(bad)-1] ^= 1 // the lock time: another merkle root
	weak := bytes.Clone(raws[10])
	for weak[79]++; ; weak[76]++ { // no work, whatever the nonce
		h, _ := types.DecodeHeader(weak[:80])
		if consensus.CheckHeader(params, &h, h.Hash()) != nil {
			break
		}
	}
	stray := emptyBlocks(params, 25)[25]
	n := openNode(t, t.TempDir(), "dev", 0)
	defer closeNode(t, n)
	s := importFiles(t, n, writeBlocks(t, params, slices.Concat(raws[:10], [][]byte{bad, weak, stray}, raws[10:])))
	if s.Accepted != 20 || s.Waiting != 1 || len(s.Refused) != 2 {
		t.Fatalf("%+v", s)
	}
	reasons := map[consensus.Reason]bool{}
	for _, r := range s.Refused {
		var rule *consensus.RuleError
		if errors.As(r.Err, &rule) {
			reasons[rule.Reason] = true
		}
	}
	if !reasons[consensus.ReasonMerkleRoot] || !reasons[consensus.ReasonHighHash] {
		t.Errorf("reasons %v", reasons)
	}
	if tip := n.Chain().Tip(); tip.Height != 20 {
		t.Errorf("tip %s", tip)
	}
	if _, err := n.Import(context.Background(), []string{"/does/not/exist"}, func(ImportProgress) {}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestDataDirectoryOfAnotherNetwork(t *testing.T) {
	dir := t.TempDir()
	closeNode(t, openNode(t, dir, "dev", 0))
	params, err := karat.LoadNetwork(regtest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), Config{DataDir: dir, Params: params})
	if err == nil || !strings.Contains(err.Error(), "dev") || !strings.Contains(err.Error(), "regtest") {
		t.Errorf("the error names not both networks: %v", err)
	}
}

// answer is the part of Bitcoin Core's gettxoutsetinfo that coins can be held
// against.
type answer struct {
	Height      uint32      `json:"height"`
	BestBlock   types.Hash  `json:"bestblock"`
	TxOuts      uint64      `json:"txouts"`
	BogoSize    uint64      `json:"bogosize"`
	TotalAmount json.Number `json:"total_amount"`
	MuHash      types.Hash  `json:"muhash"`
}

func (a *answer) check(t *testing.T, set CoinSet) {
	t.Helper()
	total, err := types.ParseAmount(a.TotalAmount.String())
	if err != nil {
		t.Fatal(err)
	}
	if set.At != (types.Index{Height: a.Height, Hash: a.BestBlock}) || set.Stats.TxOuts != a.TxOuts ||
		set.Stats.BogoSize != a.BogoSize || set.Stats.TotalAmount != total || set.Stats.MuHash != a.MuHash {
		t.Errorf("coins are %+v, Bitcoin Core has %+v", set, a)
	}
}

// TestChainOfBitcoinCore imports the chain that Bitcoin Core made, in order, and
// shuffled together with the branch that replaces its last six blocks, and
// compares with Core's answers.
func TestChainOfBitcoinCore(t *testing.T) {
	chainFile, forkFile := vectors.Copy(t, "core-regtest/chain.dat"), vectors.Copy(t, "core-regtest/fork.dat")
	var answers map[string]json.RawMessage
	vectors.ReadJSON(t, "core-regtest/answers.json", &answers)
	var before answer
	var serialized struct {
		Hash types.Hash `json:"hash_serialized_3"`
	}
	for call, into := range map[string]any{`["gettxoutsetinfo", "muhash"]`: &before, `["gettxoutsetinfo", "hash_serialized_3"]`: &serialized} {
		if err := json.Unmarshal(answers[call], into); err != nil {
			t.Fatalf("%s: %v", call, err)
		}
	}
	var fork struct {
		MuHash answer `json:"muhash"`
	}
	vectors.ReadJSON(t, "core-regtest/fork.json", &fork)

	n := openNode(t, t.TempDir(), regtest, 0)
	if s := importFiles(t, n, chainFile); s.Accepted != int(before.Height) || len(s.Refused) != 0 {
		t.Fatalf("import: %+v", s)
	}
	set := coinsOf(t, n)
	before.check(t, set)
	if set.Stats.HashSerialized3 != serialized.Hash {
		t.Errorf("hash_serialized_3 is %s, Bitcoin Core has %s", set.Stats.HashSerialized3, serialized.Hash)
	}
	importFiles(t, n, forkFile)
	fork.MuHash.check(t, coinsOf(t, n))
	if blocks, err := n.Chain().Verify(context.Background(), 0, chain.VerifyScripts, func(int, int) {}); err != nil || blocks != int(fork.MuHash.Height) {
		t.Errorf("verify: %d blocks, %v", blocks, err)
	}
	closeNode(t, n)

	raws := append(vectors.ReadBlocks(t, "core-regtest/chain.dat"), vectors.ReadBlocks(t, "core-regtest/fork.dat")...)
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(raws), func(i, j int) { raws[i], raws[j] = raws[j], raws[i] })
		n := openNode(t, t.TempDir(), regtest, 0)
		importFiles(t, n, writeBlocks(t, n.config.Params, raws))
		fork.MuHash.check(t, coinsOf(t, n))
		closeNode(t, n)
	}
	vectors.Ran(t, 8, "coin sets")
	t.Logf("%d blocks of Bitcoin Core, once in order and 5 times shuffled", len(raws))
}
