package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/machine"
	"github.com/karatcoin/karat/node/doctor"
	"github.com/karatcoin/karat/p2p/dial"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// proxyPatience is how long a proxy may take to take a call. It is mostly on this machine.
var proxyPatience = 500 * time.Millisecond

const (
	// coinsAsked is how many outputs of a transaction are looked up, to find out whether it is in a
	// block.
	coinsAsked = 16
	// templatePatience is how long chain and pool may take for a template.
	templatePatience = 700 * time.Millisecond
	opReturn         = 0x6a
)

// tipSeen is a tip, and when it was seen first.
type tipSeen struct {
	hash  types.Hash
	since time.Time
}

// seeTip notes since when the tip has been the same.
func (n *Node) seeTip() tipSeen {
	tip := n.chain.Tip()
	seen := n.tipSeen.Load()
	if seen == nil || seen.hash != tip.Hash {
		seen = &tipSeen{tip.Hash, n.clock.real()}
		n.tipSeen.Store(seen)
	}
	return *seen
}

// diagnoser implements rpc.Doctor.
type diagnoser struct {
	n *Node
	s *services
	c *control

	trying atomic.Bool // a template is tried: one at a time
}

// Diagnose implements rpc.Doctor.
func (d *diagnoser) Diagnose(ctx context.Context) []doctor.Finding {
	return doctor.Diagnose(&doctor.Facts{Inside: d.inside(ctx), Machine: d.machine()})
}

// DiagnoseTx implements rpc.Doctor.
func (d *diagnoser) DiagnoseTx(ctx context.Context, txid types.Hash, given *types.Tx) ([]doctor.Finding, error) {
	t, err := d.transaction(ctx, txid, given)
	if err != nil {
		return nil, err
	}
	return doctor.Diagnose(&doctor.Facts{Transaction: t}), nil
}

func (d *diagnoser) inside(ctx context.Context) *doctor.Inside {
	n := d.n
	in := &doctor.Inside{
		Now: n.clock.now(), Uptime: d.c.Uptime(), Mocked: n.clock.mocked.Load() != 0, Chain: d.chain(), Network: d.network(ctx), Mining: d.mining(ctx),
		Pool: d.s.pool.Info(), Clients: doctor.Clients{Locked: *d.s.locked.Load(), Certificate: d.s.certificateEnd},
	}
	if n.index != nil {
		in.Indexes = n.index.States()
	}
	if d.s.fingerprint == "" {
		for _, at := range d.s.rpcAddresses() {
			if port, err := netip.ParseAddrPort(at.String()); err == nil && !port.Addr().IsLoopback() {
				in.Clients.Open = append(in.Clients.Open, at.String())
			}
		}
	}
	if d.s.faucet != nil {
		status := d.s.faucet.Status()
		in.Faucet = &status
	}
	return in
}

func (d *diagnoser) chain() doctor.Chain {
	n := d.n
	state := n.chain.TipState()
	c := doctor.Chain{
		Spacing: time.Duration(n.config.Params.TargetSpacing) * time.Second, Fixed: n.config.Params.Difficulty.Algorithm == consensus.DifficultyFixed,
		Tip: state.Index, TipTime: time.Unix(int64(state.Header.Timestamp), 0), Unchanged: n.clock.real().Sub(n.seeTip().since),
		Headers: n.chain.BestHeader(), Syncing: n.syncing(), Pruned: n.config.prunes(), Target: n.config.PruneBytes,
		Size: n.store.SizeOnDisk() + n.store.CoinsOnDisk(), Unknown: n.chain.UnknownRules(), RefusedAhead: n.refusedAhead(),
	}
	select {
	case <-n.chain.Failed():
		c.Problem = "a write or a read has failed"
	default:
	}
	return c
}

func (d *diagnoser) network(ctx context.Context) doctor.Network {
	config, peers := &d.n.config, d.s.peers
	bootstrap := config.Params.Bootstrap
	known := peerinfo.BookCount{}
	for _, count := range peers.BookCounts() {
		known.New, known.Tried = known.New+count.New, known.Tried+count.Tried
	}
	_, listening := listenPort(d.s.peerListener)
	w := doctor.Network{
		Off:       !peers.Active(),
		Wanted:    len(peers.AddedNodes()) > 0 || !config.NoDiscovery && (len(bootstrap.Nodes) > 0 || len(bootstrap.DNS) > 0 || known.New+known.Tried > 0),
		Bootstrap: bootstrap.Nodes, Listening: listening && config.Proxy == "", Announced: config.External, MapPort: d.s.mapper != nil,
		Proxy: config.Proxy, Peers: peers.Peers(), Calls: peers.Calls(), Callers: peers.Callers(), Twin: peers.Twin(), Upload: peers.UploadTarget(), Budgets: peers.Budgets(),
	}
	if d.s.mapper != nil {
		mapped := d.s.mapper.External()
		if w.Mapped = len(mapped) > 0; len(w.Announced) == 0 {
			w.Announced = mapped
		}
	}
	if config.Proxy != "" {
		ctx, cancel := context.WithTimeout(ctx, proxyPatience)
		defer cancel()
		conn, err := dial.New(dial.Options{Direct: config.Dial}).Dial(ctx, config.Proxy)
		if err != nil {
			w.ProxyError = err.Error()
		} else {
			conn.Close()
		}
	}
	return w
}

// mining tells of what is made of blocks here. A template is tried, so that a block that would be refused is
// found before work is spent on it. A chain or a pool that is busy is not waited for: then nothing is known.
func (d *diagnoser) mining(ctx context.Context) doctor.Mining {
	m := doctor.Mining{Mines: d.n.config.Mine}
	if d.s.stratum != nil {
		info := d.s.stratum.Info()
		m.Stratum = &info
	}
	if d.n.syncing() || !d.trying.CompareAndSwap(false, true) {
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, templatePatience)
	found := make(chan doctor.Mining, 1)
	go func() {
		defer d.trying.Store(false)
		defer cancel()
		tried := m
		tried.Template, tried.Empty = d.tryTemplate(ctx)
		found <- tried
	}()
	select {
	case tried := <-found:
		return tried
	case <-ctx.Done():
		return m
	}
}

// tryTemplate makes a block and has the chain check all of it but its proof of work. It returns the broken
// rule, empty if there is none, and whether the block is empty because the pool is behind.
func (d *diagnoser) tryTemplate(ctx context.Context) (problem string, empty bool) {
	t := d.s.miner.Template()
	coinbase := d.s.miner.Coinbase(t, []byte{opReturn}) // nobody can spend it: the block is only tried
	header := t.HeaderAt(d.n.clock.now())
	header.MerkleRoot = t.Root(coinbase.TxID())
	err := d.n.chain.Propose(ctx, t.Block(header, coinbase).AppendTo(nil))
	var rule *consensus.RuleError
	if errors.As(err, &rule) && !errors.Is(err, consensus.ErrNotYet) { // such as a tip that came meanwhile
		problem = err.Error()
	}
	return problem, t.PoolBehind
}

func (d *diagnoser) machine() *doctor.Machine {
	config := &d.n.config
	disk, _ := machine.DiskOf(config.DataDir) // not known then
	return &doctor.Machine{DataDir: config.DataDir, Memory: machine.MemoryNow(), Disk: disk, Files: machine.FilesNow(), Budgets: Budgets(config)}
}

// Budgets returns the memory that a node with a configuration may take.
func Budgets(config *Config) []doctor.Budget {
	pool := config.Policy.MaxBytes
	if pool == 0 {
		pool = DefaultPolicy().MaxBytes
	}
	return []doctor.Budget{
		{Flag: "--dbcache", Bytes: uint64(cmp.Or(config.CacheBytes, store.DefaultCacheBytes))},
		{Flag: "--mempool", Bytes: uint64(pool)},
		{Flag: "--max-memory", Bytes: uint64(cmp.Or(config.PeerBytes, DefaultPeerBytes))},
	}
}

// transaction finds out what is known of a transaction. It may be given as a whole.
func (d *diagnoser) transaction(ctx context.Context, txid types.Hash, given *types.Tx) (*doctor.Transaction, error) {
	n := d.n
	state := n.chain.TipState()
	pool := currentPool{d.s.pool}
	t := &doctor.Transaction{
		TxID: txid, Now: n.clock.now(), TipTime: time.Unix(int64(state.Header.Timestamp), 0), Peers: d.s.peers.Peers(), NoIndex: true, BlockMin: n.config.BlockMinFeeRate,
	}
	if n.config.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		t.Spacing = time.Duration(n.config.Params.TargetSpacing) * time.Second
	}
	if details, ok := pool.Details(txid); ok {
		t.Pending = &details
		d.queue(t)
		return t, nil
	}
	var err error
	if t.Confirmations, err = d.confirmations(ctx, t, state.Index); err != nil || t.Confirmations > 0 {
		return t, err
	}
	for _, orphan := range d.s.peers.Orphans() {
		if orphan.Tx.TxID() == txid {
			t.Orphan = &orphan
			t.Missing, err = d.missing(ctx, orphan.Tx)
			return t, err
		}
	}
	if given != nil {
		verdicts, err := d.s.pool.Try(ctx, []*types.Tx{given})
		switch {
		case err != nil:
			return nil, err
		case len(verdicts) == 1 && verdicts[0].Err != nil:
			t.Refusal = verdicts[0].Err.Error()
		default:
			t.WouldAccept = true
		}
	}
	return t, nil
}

// queue finds out what is before a transaction that waits.
func (d *diagnoser) queue(t *doctor.Transaction) {
	next := d.s.miner.Template()
	for _, e := range next.Entries {
		t.InNext = t.InNext || e.TxID == t.TxID
	}
	t.BlockVSize = cmp.Or(d.n.config.BlockMaxWeight, int(d.n.config.Params.MaxBlockWeight)) / types.WitnessScale
	fees, weight := t.Pending.Chunk.Fees, int64(t.Pending.Chunk.Weight)
	before := int64(0)
	corners := currentPool{d.s.pool}.Diagram()
	for i := 1; i < len(corners); i++ {
		w, f := corners[i].Weight-corners[i-1].Weight, corners[i].Fees-corners[i-1].Fees
		if w <= 0 || weight <= 0 || float64(f)/float64(w) <= float64(fees)/float64(weight) {
			break
		}
		before = corners[i].Weight
		if before <= int64(t.BlockVSize)*types.WitnessScale {
			t.NextMin = types.NewFeeRate(f, int(w)/types.WitnessScale)
		}
	}
	t.Ahead = int(before / types.WitnessScale)
}

// confirmations looks for a transaction in the index, and by its outputs in the coin set.
func (d *diagnoser) confirmations(ctx context.Context, t *doctor.Transaction, tip types.Index) (uint32, error) {
	if d.n.index != nil {
		place, err := d.n.index.FindTx(t.TxID)
		if info, ok := d.n.chain.Info(place.Block); err == nil && ok && info.OnBestChain {
			return tip.Height + 1 - min(info.Height, tip.Height), nil
		}
		t.NoIndex = err != nil && !errors.Is(err, consensus.ErrNotFound)
	}
	outputs := make([]types.OutPoint, coinsAsked)
	for i := range outputs {
		outputs[i] = types.OutPoint{TxID: t.TxID, Index: uint32(i)}
	}
	coins, state, err := d.n.chain.Coins(ctx, outputs)
	if err != nil {
		return 0, fmt.Errorf("look the transaction up: %w", err)
	}
	for _, c := range coins {
		if c.Found {
			return state.Index.Height + 1 - min(c.Coin.Height, state.Index.Height), nil
		}
	}
	return 0, nil
}

// missing returns what a transaction spends that nobody here knows.
func (d *diagnoser) missing(ctx context.Context, tx *types.Tx) (list []types.OutPoint, err error) {
	var asked []types.OutPoint
	for i := range tx.Inputs {
		if d.s.pool.Get(tx.Inputs[i].PreviousOutPoint.TxID) == nil {
			asked = append(asked, tx.Inputs[i].PreviousOutPoint)
		}
	}
	coins, _, err := d.n.chain.Coins(ctx, asked)
	for i := range coins {
		if !coins[i].Found {
			list = append(list, asked[i])
		}
	}
	return list, err
}
