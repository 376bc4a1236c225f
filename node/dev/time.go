package dev

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/karatcoin/karat/rpc/devinfo"
)

// MoveTime lets the clock go on from a time. It can go back, but not to where the next block
// could not be: that must be later than the median of the last eleven.
func (b *Bench) MoveTime(ctx context.Context, to func(now time.Time) time.Time) (time.Time, error) {
	if err := b.turn.Take(ctx); err != nil {
		return time.Time{}, err
	}
	defer b.turn.Give()
	if err := b.moveTo(to(b.o.Clock.Now())); err != nil {
		return time.Time{}, err
	}
	return b.o.Clock.Now(), nil
}

// moveTo assumes the turn.
func (b *Bench) moveTo(to time.Time) error {
	state := b.o.Chain.TipState()
	if least := int64(state.MedianTimePast()) + 1; to.Unix() < least || to.Unix() > math.MaxUint32 {
		return fmt.Errorf("the time %d cannot be a block's: want %d, which is after the median of the last eleven, to %d", to.Unix(), least, uint32(math.MaxUint32))
	}
	b.o.Clock.Move(to)
	return nil
}

// Info returns the bench as it is.
func (b *Bench) Info(ctx context.Context) (devinfo.Info, error) {
	if err := b.turn.Take(ctx); err != nil {
		return devinfo.Info{}, err
	}
	defer b.turn.Give()
	info := devinfo.Info{
		Mining: b.mining, Tip: b.o.Chain.Tip(), Time: b.o.Clock.Now(), Ahead: b.o.Clock.Ahead(), Words: b.o.Keys.Words(), PayTo: b.o.PayTo,
		Snapshots: []devinfo.Snapshot{}, Accounts: []devinfo.Balance{},
	}
	for i := range b.shots {
		info.Snapshots = append(info.Snapshots, b.shots[i].info())
	}
	accounts := append(b.o.Keys.Accounts(), b.o.Keys.Bank())
	scripts := make([][]byte, len(accounts))
	for i := range accounts {
		scripts[i] = accounts[i].Script
	}
	has, err := b.balances(ctx, scripts...)
	if err != nil {
		return info, err
	}
	for i, account := range accounts[:len(accounts)-1] {
		info.Accounts = append(info.Accounts, devinfo.Balance{Account: account, Has: has[i]})
	}
	info.Bank = devinfo.Balance{Account: b.o.Keys.Bank(), Has: has[len(has)-1]}
	return info, nil
}
