package rpc

import (
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// fakeStratum has one worker.
type fakeStratum struct{}

func (fakeStratum) Info() stratuminfo.Info {
	at := time.Unix(1_800_000_000, 0)
	shares := stratuminfo.Shares{Accepted: 5, Rejected: [stratuminfo.Reasons]uint64{stratuminfo.Stale: 2}, Work: 80, Best: 1000.5, Last: at, Blocks: 1}
	return stratuminfo.Info{
		Listening: "127.0.0.1:3333", Connections: 1, Rates: stratuminfo.Rates{Minute: 3, TenMinutes: 2, Hour: 1}, Shares: shares,
		Job: &stratuminfo.Job{Height: 8, Transactions: 2, Fees: 100, Time: at}, LastBlock: &stratuminfo.Block{Height: 7, Hash: types.Hash{1}, Worker: "a.b", Time: at},
		Workers: []stratuminfo.Worker{{Name: "a.b", Address: "a", Connections: 1, From: "192.0.2.7", Agent: "miner/1", Difficulty: 16, Shares: shares}},
	}
}

// TestStratumInfo: what is told of miners, and to whom it is told where they are.
func TestStratumInfo(t *testing.T) {
	const shares = `"accepted":5,"rejected":{"duplicate":0,"low":0,"malformed":0,"stale":2,"unauthorized":0},"work":80,"bestshare":1000.5,"lastshare":1800000000,"blocks":1`
	want := func(from string) string {
		return `{"result":{"listening":"127.0.0.1:3333","tls":false,"connections":1,"banned":0,"job":{"height":8,"transactions":2,"fees":0.00000100,"time":1800000000},` +
			`"lastblock":{"height":7,"hash":"` + strings.Repeat("0", 62) + `01","worker":"a.b","time":1800000000},"hashrate1m":3,"hashrate10m":2,"hashrate60m":1,` + shares +
			`,"workers":[{"name":"a.b","payout":"a",` + from + `"useragent":"miner/1","connections":1,"difficulty":16,"hashrate1m":0,"hashrate10m":0,"hashrate60m":0,` + shares + `}]},"error":null}`
	}
	s := newFake().server(t)
	if _, got := post(s, `{"method":"getstratuminfo"}`); !strings.Contains(got, `"listening":"","tls":false`) || !strings.Contains(got, `"workers":[]`) {
		t.Errorf("without a server: %s", got)
	}
	s.Stratum = fakeStratum{}
	if _, got := post(s, `{"method":"getstratuminfo"}`); got != want(`"addr":"192.0.2.7",`) {
		t.Errorf("got  %s\nwant %s", got, want(`"addr":"192.0.2.7",`))
	}
	if err := s.Auth.Allow(name + ":getstratuminfo"); err != nil {
		t.Fatal(err)
	}
	if _, got := post(s, `{"method":"getstratuminfo"}`); got != want("") {
		t.Errorf("to a user who may not see peers: %s", got)
	}
}
