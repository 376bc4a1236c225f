package rpc

import (
	"context"
	"encoding/json"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

func stratumMethods() []method {
	return []method{
		{name: "getstratuminfo", read: noParams(getStratumInfo), about: "Returns the miners that are connected by Stratum and those of the last hour, with the shares that they have handed in. Rates are hashes a second, by the shares of the last 1, 10 and 60 minutes. " +
			"(From where they connect is told to users who may call getpeerinfo.)"},
	}
}

// userKey is the key under which the context of a call has its user.
type userKey struct{}

// mayCall reports whether the user of a call may call another method, too.
func mayCall(ctx context.Context, method string) bool {
	user, ok := ctx.Value(userKey{}).(*User)
	return ok && user.may(method)
}

// ratesJSON are hash rates.
type ratesJSON struct {
	Minute     json.Number `json:"hashrate1m"`
	TenMinutes json.Number `json:"hashrate10m"`
	Hour       json.Number `json:"hashrate60m"`
}

// sharesJSON are what was handed in.
type sharesJSON struct {
	Accepted uint64            `json:"accepted"`
	Rejected map[string]uint64 `json:"rejected"`
	Work     json.Number       `json:"work"`
	Best     json.Number       `json:"bestshare"`
	Last     int64             `json:"lastshare"`
	Blocks   uint64            `json:"blocks"`
}

// stratumJSON is the answer of getstratuminfo.
type stratumJSON struct {
	Listening   string            `json:"listening"`
	TLS         bool              `json:"tls"`
	Connections int               `json:"connections"`
	Banned      int               `json:"banned"`
	Job         *stratumJobJSON   `json:"job"`
	LastBlock   *stratumBlockJSON `json:"lastblock"`
	ratesJSON
	sharesJSON
	Workers []workerJSON `json:"workers"`
}

type stratumJobJSON struct {
	Height       uint32      `json:"height"`
	Transactions int         `json:"transactions"`
	Fees         json.Number `json:"fees"`
	Time         int64       `json:"time"`
}

type stratumBlockJSON struct {
	Height uint32     `json:"height"`
	Hash   types.Hash `json:"hash"`
	Worker string     `json:"worker"`
	Time   int64      `json:"time"`
}

type workerJSON struct {
	Name        string      `json:"name"`
	Payout      string      `json:"payout"`
	From        string      `json:"addr,omitempty"`
	Agent       string      `json:"useragent"`
	Connections int         `json:"connections"`
	Difficulty  json.Number `json:"difficulty"`
	ratesJSON
	sharesJSON
}

// getStratumInfo tells of the Stratum server. Without one, the answer has the same form
// and is empty.
func getStratumInfo(ctx context.Context, s *Server) (any, error) {
	var info stratuminfo.Info
	if s.Stratum != nil {
		info = s.Stratum.Info()
	}
	j := stratumJSON{
		Listening: info.Listening, TLS: info.TLS, Connections: info.Connections, Banned: info.Banned,
		ratesJSON: rates(info.Rates), sharesJSON: shares(info.Shares), Workers: []workerJSON{},
	}
	if job := info.Job; job != nil {
		j.Job = &stratumJobJSON{job.Height, job.Transactions, amount(job.Fees), job.Time.Unix()}
	}
	if b := info.LastBlock; b != nil {
		j.LastBlock = &stratumBlockJSON{b.Height, b.Hash, b.Worker, b.Time.Unix()}
	}
	for _, w := range info.Workers {
		worker := workerJSON{
			Name: w.Name, Payout: w.Address, From: w.From, Agent: w.Agent, Connections: w.Connections, Difficulty: double(w.Difficulty),
			ratesJSON: rates(w.Rates), sharesJSON: shares(w.Shares),
		}
		if !mayCall(ctx, "getpeerinfo") {
			worker.From = ""
		}
		j.Workers = append(j.Workers, worker)
	}
	return &j, nil
}

func rates(r stratuminfo.Rates) ratesJSON {
	return ratesJSON{double(r.Minute), double(r.TenMinutes), double(r.Hour)}
}

func shares(s stratuminfo.Shares) sharesJSON {
	j := sharesJSON{Accepted: s.Accepted, Rejected: map[string]uint64{}, Work: double(s.Work), Best: double(s.Best), Last: seconds(s.Last), Blocks: s.Blocks}
	for reason, n := range s.Rejected {
		j.Rejected[stratuminfo.Reason(reason).String()] = n
	}
	return j
}
