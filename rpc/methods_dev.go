package rpc

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// Dev is the workbench of a developer's chain. An error is told to the client in its words.
type Dev interface {
	Info(ctx context.Context) (devinfo.Info, error)
	SetMining(ctx context.Context, m devinfo.Mining) error
	// Mine mines blocks, each so much later than the one before.
	Mine(ctx context.Context, n int, apart time.Duration) ([]types.Hash, error)
	// MoveTime lets the clock go on from a time, and returns it.
	MoveTime(ctx context.Context, to func(now time.Time) time.Time) (time.Time, error)
	Snapshot(ctx context.Context) (devinfo.Snapshot, error)
	Revert(ctx context.Context, id int) (devinfo.Reverted, error)
	Reorganise(ctx context.Context, depth int, confirm bool) (devinfo.Reorganised, error)
	SetBalance(ctx context.Context, script []byte, amount types.Amount) (devinfo.Payment, error)
	// Send pays from the account of a number.
	Send(ctx context.Context, account int, script []byte, amount types.Amount, rate types.FeeRate) (types.Hash, error)
}

// devCategory is the category of the methods that a workbench has, and no other node.
const devCategory = "Dev"

func devMethods() []method {
	address := param{name: "address", kind: kindString, about: "The address that is paid"}
	amount := param{name: "amount", kind: kindAmount, sample: "1.5", about: "Coins"}
	return []method{
		{name: "dev_info", read: noParams(devInfo), about: "Returns how the chain is mined, what time it has, its accounts with what they have in blocks, and its snapshots."},
		{name: "dev_setmining", read: devSetMining, about: "Sets when blocks are mined.", params: []param{
			{name: "mode", kind: kindString, sample: "tx", about: "tx (a block for each transaction), interval, or hand (when a client asks)"},
			{name: "seconds", kind: kindAny, optional: "1", about: "Of interval: the seconds between blocks, 0.01 to 86400"}}},
		{name: "dev_mine", slow: true, read: devMine, about: "Mines blocks at once, and pays whom the chain pays.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "1", about: "How many blocks"},
			{name: "apart", kind: kindNumber, optional: "0", about: "How many seconds each is later than the one before; the clock goes along"}}},
		{name: "dev_increasetime", slow: true, read: devIncreaseTime, about: "Moves the clock, which goes on from there. What locks look at is the median of the last eleven blocks' times, so mine six for it to follow.", params: []param{
			{name: "seconds", kind: kindNumber, sample: "3600", about: "How far; less than 0 is back"},
			{name: "nblocks", kind: kindNumber, optional: "0", about: "How many blocks to mine then"}}},
		{name: "dev_settime", read: devSetTime, about: "Sets the clock, which goes on from there. It must be later than the median of the last eleven blocks' times.", params: []param{
			{name: "timestamp", kind: kindNumber, sample: "1900000000", about: "The time in seconds since 1970"}}},
		{name: "dev_snapshot", slow: true, read: noParams(devSnapshot), about: "Remembers the tip, what waits for a block, and the time."},
		{name: "dev_revert", slow: true, read: devRevert, about: "Goes back to a snapshot, which stays; those made after it are forgotten.", params: []param{
			{name: "id", kind: kindNumber, about: "The number of the snapshot"}}},
		{name: "dev_reorg", slow: true, read: devReorg, about: "Replaces the last blocks by one more, as if another miner had found them.", params: []param{
			{name: "depth", kind: kindNumber, sample: "2", about: "How many blocks"},
			{name: "confirm", kind: kindBool, optional: "false", about: "Whether the new blocks take what waits, and so what the old ones had confirmed; else they are empty"}}},
		{name: "dev_setbalance", slow: true, read: devSetBalance, about: "Mines a block after which an address has this amount in blocks. The bank pays what is missing; accounts give back what is too much.", params: []param{address, amount}},
		{name: "dev_send", slow: true, read: devSend, about: "Pays from an account, of whose key nothing need be known.", params: []param{
			{name: "account", kind: kindNumber, sample: "0", about: "The number of the account"}, address, amount,
			{name: "feerate", kind: kindNumber, optional: "1", about: "Grains per virtual byte"}}},
	}
}

// withoutDev are the methods of a node that is no workbench. A client cannot tell that there
// are others.
func withoutDev(table map[string]*method) {
	for name, m := range table {
		if m.category == devCategory {
			delete(table, name)
		}
	}
}

// devInfoJSON is the answer of dev_info.
type devInfoJSON struct {
	Mining    string            `json:"mining"`
	Seconds   float64           `json:"seconds,omitempty"`
	Tip       types.Hash        `json:"tip"`
	Height    uint32            `json:"height"`
	Time      int64             `json:"time"`
	Ahead     int64             `json:"ahead"`
	Words     string            `json:"words"`
	Accounts  []devBalanceJSON  `json:"accounts"`
	Bank      devBalanceJSON    `json:"bank"`
	PayTo     string            `json:"payto,omitempty"`
	Snapshots []devSnapshotJSON `json:"snapshots"`
}

type devBalanceJSON struct {
	Address string      `json:"address"`
	Path    string      `json:"path"`
	Balance json.Number `json:"balance"`
}

type devSnapshotJSON struct {
	ID      int        `json:"id"`
	Tip     types.Hash `json:"tip"`
	Height  uint32     `json:"height"`
	Waiting int        `json:"waiting"`
}

func devInfo(ctx context.Context, s *Server) (any, error) {
	info, err := s.Dev.Info(ctx)
	if err != nil {
		return nil, err
	}
	answer := devInfoJSON{
		Mining: string(info.Mining.Mode), Seconds: info.Mining.Every.Seconds(), Tip: info.Tip.Hash, Height: info.Tip.Height, Time: info.Time.Unix(), Ahead: int64(info.Ahead.Round(time.Second).Seconds()),
		Words: info.Words, Accounts: []devBalanceJSON{}, Bank: devBalanceJSON{info.Bank.Address, info.Bank.Path, amount(info.Bank.Has)}, Snapshots: []devSnapshotJSON{},
	}
	answer.PayTo, _ = taproot.EncodeAddress(s.Params.HRP, info.PayTo)
	for _, a := range info.Accounts {
		answer.Accounts = append(answer.Accounts, devBalanceJSON{a.Address, a.Path, amount(a.Has)})
	}
	for _, shot := range info.Snapshots {
		answer.Snapshots = append(answer.Snapshots, devSnapshotOf(shot))
	}
	return answer, nil
}

func devSnapshotOf(s devinfo.Snapshot) devSnapshotJSON {
	return devSnapshotJSON{s.ID, s.Tip.Hash, s.Tip.Height, s.Waiting}
}

func devSetMining(s *Server, a *args) work {
	m := devinfo.Mining{Mode: devinfo.Mode(a.text(0, ""))}
	switch m.Mode {
	case devinfo.ByTransaction, devinfo.ByHand:
		if a.given(1) {
			a.fail(failf(CodeInvalidParam, "seconds are for the mode interval alone"))
		}
	case devinfo.ByInterval:
		m.Every = a.devEvery(1)
		if m.Every < devinfo.LeastEvery || m.Every > devinfo.MostEvery {
			a.fail(failf(CodeInvalidParam, "seconds must be %g to %g", devinfo.LeastEvery.Seconds(), devinfo.MostEvery.Seconds()))
		}
	default:
		a.fail(failf(CodeInvalidParam, "mode must be tx, interval or hand"))
	}
	return func(ctx context.Context) (any, error) { return nil, s.Dev.SetMining(ctx, m) }
}

// devEvery reads seconds, which may be a part of one.
func (a *args) devEvery(i int) time.Duration {
	if !a.given(i) {
		return time.Second
	}
	seconds, err := strconv.ParseFloat(string(a.values[i]), 64)
	if err != nil || seconds > devinfo.MostEvery.Seconds() {
		return 0 // which is refused
	}
	return time.Duration(seconds * float64(time.Second))
}

// devBlocks reads how many blocks are wanted.
func (a *args) devBlocks(i int, otherwise int64) int {
	n := a.integer(i, otherwise)
	if n < 0 || n > devinfo.MostMined {
		a.fail(failf(CodeInvalidParam, "%s must be 0 to %d", a.method.params[i].first(), devinfo.MostMined))
	}
	return int(n)
}

// mostSeconds is how far the clock is moved in a call, a little more than a block's time can
// tell.
const mostSeconds = 1 << 32

func (a *args) devSeconds(i int, otherwise, least int64) time.Duration {
	n := a.integer(i, otherwise)
	if n < least || n > mostSeconds {
		a.fail(failf(CodeInvalidParam, "%s must be %d to %d", a.method.params[i].first(), least, int64(mostSeconds)))
		return 0
	}
	return time.Duration(n) * time.Second
}

func devMine(s *Server, a *args) work {
	n, apart := a.devBlocks(0, 1), a.devSeconds(1, 0, 0)
	return func(ctx context.Context) (any, error) {
		hashes, err := s.Dev.Mine(ctx, n, apart)
		if err != nil {
			return nil, err
		}
		return append([]types.Hash{}, hashes...), nil
	}
}

// devTimeJSON is the answer of methods that move the clock.
type devTimeJSON struct {
	Time       int64  `json:"time"`
	MedianTime uint32 `json:"mediantime"` // by which locks go
}

func devIncreaseTime(s *Server, a *args) work {
	by, n := a.devSeconds(0, 0, -mostSeconds), a.devBlocks(1, 0)
	return func(ctx context.Context) (any, error) {
		return s.devMove(ctx, func(now time.Time) time.Time { return now.Add(by) }, n)
	}
}

func devSetTime(s *Server, a *args) work {
	to := a.integer(0, 0)
	return func(ctx context.Context) (any, error) {
		return s.devMove(ctx, func(time.Time) time.Time { return time.Unix(to, 0) }, 0)
	}
}

func (s *Server) devMove(ctx context.Context, to func(time.Time) time.Time, blocks int) (any, error) {
	now, err := s.Dev.MoveTime(ctx, to)
	if err == nil && blocks > 0 {
		_, err = s.Dev.Mine(ctx, blocks, 0)
	}
	if err != nil {
		return nil, err
	}
	state := s.Headers.TipState()
	return devTimeJSON{now.Unix(), state.MedianTimePast()}, nil
}

func devSnapshot(ctx context.Context, s *Server) (any, error) {
	shot, err := s.Dev.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return shot.ID, nil
}

// devRevertedJSON is the answer of dev_revert.
type devRevertedJSON struct {
	Tip    types.Hash   `json:"tip"`
	Height uint32       `json:"height"`
	Lost   []types.Hash `json:"lost"`
}

func devRevert(s *Server, a *args) work {
	id := a.int32(0, 0)
	return func(ctx context.Context) (any, error) {
		r, err := s.Dev.Revert(ctx, int(id))
		if err != nil {
			return nil, err
		}
		return devRevertedJSON{r.Tip.Hash, r.Tip.Height, append([]types.Hash{}, r.Lost...)}, nil
	}
}

// devReorgJSON is the answer of dev_reorg.
type devReorgJSON struct {
	Fork       types.Hash   `json:"fork"`
	ForkHeight uint32       `json:"forkheight"`
	Replaced   []types.Hash `json:"replaced"`
	Mined      []types.Hash `json:"mined"`
}

func devReorg(s *Server, a *args) work {
	depth, confirm := a.int32(0, 0), a.flag(1, false)
	if depth < 1 || depth > devinfo.MostReplaced {
		a.fail(failf(CodeInvalidParam, "depth must be 1 to %d", devinfo.MostReplaced))
	}
	return func(ctx context.Context) (any, error) {
		r, err := s.Dev.Reorganise(ctx, int(depth), confirm)
		if err != nil {
			return nil, err
		}
		return devReorgJSON{r.Fork.Hash, r.Fork.Height, r.Replaced, r.Mined}, nil
	}
}

// devPaymentJSON is the answer of dev_setbalance.
type devPaymentJSON struct {
	TxID  *types.Hash `json:"txid,omitempty"`
	Block *types.Hash `json:"blockhash,omitempty"`
}

// devPaid reads who is paid, and how much.
func (s *Server) devPaid(a *args, i int) (script []byte, value types.Amount) {
	script, err := taproot.DecodeAddress(s.Params.HRP, a.text(i, ""))
	if err != nil {
		a.fail(failf(CodeAddressOrKey, "Error: Invalid address"))
	}
	return script, a.amount(a.values[i+1], s.Params.MaxMoney)
}

func devSetBalance(s *Server, a *args) work {
	script, value := s.devPaid(a, 0)
	return func(ctx context.Context) (any, error) {
		p, err := s.Dev.SetBalance(ctx, script, value)
		if err != nil || p == (devinfo.Payment{}) {
			return devPaymentJSON{}, err
		}
		return devPaymentJSON{&p.TxID, &p.Block}, nil
	}
}

// mostRate keeps a slip of the finger from paying all to the miner.
const mostRate = types.FeeRate(100_000_000)

func devSend(s *Server, a *args) work {
	account := a.int32(0, 0)
	script, value := s.devPaid(a, 1)
	rate := types.FeeRate(1000)
	if a.given(3) {
		var err error
		if rate, err = types.ParseFeeRate(string(a.values[3])); err != nil || rate > mostRate {
			a.fail(failf(CodeInvalidParam, "feerate must be a number from 0 to %s", mostRate))
		}
	}
	return func(ctx context.Context) (any, error) {
		txid, err := s.Dev.Send(ctx, int(account), script, value, rate)
		if err != nil {
			return nil, Rejection(err)
		}
		return txid, nil
	}
}
