package faucet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/web/faucetinfo"
)

const (
	// challengeTime is how long a challenge may be answered, at least.
	challengeTime = 10 * time.Minute
	// maxQueue is how many requests wait for the next payment: as many outputs as a
	// standard transaction holds with ease.
	maxQueue = 500
)

// Challenge is what a proof of work is made for (faucetinfo.Proves). It changes with time.
func (f *Faucet) Challenge() string {
	return f.challenge(f.o.Now().Unix() / int64(challengeTime/time.Second))
}

func (f *Faucet) challenge(period int64) string {
	mac := hmac.New(sha256.New, f.secret[:])
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(period))
	mac.Write(b[:])
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Ask asks for the amount to an address, whose script is known. It is paid soon.
// Errors: those of faucetinfo.
func (f *Faucet) Ask(address string, script []byte, from netip.Addr, challenge, nonce string) error {
	now := f.o.Now()
	this := now.Unix() / int64(challengeTime/time.Second)
	if len(nonce) > 32 || !slices.Contains([]string{f.challenge(this), f.challenge(this - 1)}, challenge) || !faucetinfo.Proves(challenge, address, nonce) {
		return faucetinfo.ErrProof
	}
	if !isPaid(script) || string(script) == string(f.script) || f.o.Amount < standard.DustLimit(script) {
		return faucetinfo.ErrAddress
	}
	if err := f.promise(now, script, from); err != nil {
		return err
	}
	// It is paid also if this fails, unless the node ends before.
	if err := f.save(); err != nil {
		f.o.Logger.Error("a promise of the faucet is not durable", "err", err)
	}
	return nil
}

// isPaid reports whether a script is of the only kind that a faucet pays (BIP341).
func isPaid(script []byte) bool {
	version, program, ok := types.WitnessProgram(script)
	return ok && version == 1 && len(program) == 32
}

// promise puts a request into the queue, if nothing is against it.
func (f *Faucet) promise(now time.Time, script []byte, from netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) >= maxQueue {
		return faucetinfo.ErrBusy
	}
	if needed := f.o.Amount*types.Amount(len(f.queue)+1) + types.GrainsPerCoin/1000; f.has() < needed {
		return faucetinfo.ErrEmpty
	}
	if err := f.limits.take(now, script, Group(from), f.o.Amount); err != nil {
		return err
	}
	f.queue = append(f.queue, script)
	return nil
}

// Paid returns the transaction that paid a script last, zero if it was not paid since the
// start.
func (f *Faucet) Paid(script []byte) types.Hash {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paid[string(script)]
}
