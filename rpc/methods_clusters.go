package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

func clusterMethods() []method {
	return []method{
		{name: "getmempoolcluster", read: getMempoolCluster, about: "Returns the transactions that are connected with one by spending each other, in the chunks and the order in which a miner would take them.", params: []param{
			{name: "txid", kind: kindString, about: "The id of a transaction in the mempool"}}},
		{name: "getmempoolfeeratediagram", read: noParams(getMempoolFeeRateDiagram), about: "Returns what fees the best chunks of the mempool pay up to a weight, all of them, summed up."},
	}
}

// hiddenMethods are methods that help does not list, as in Core.
func hiddenMethods() []method {
	return []method{
		{name: "getorphantxs", read: getOrphanTxs, about: "Returns the transactions that came before what they spend.", params: []param{
			{name: "verbosity", kind: kindNumber, loose: true, optional: "0", about: "0 for ids, 1 for objects, 2 for objects with the transaction in hexadecimal"}}},
		{name: "mockscheduler", read: mockScheduler, about: "Lets what is done now and then be due earlier (on networks of fixed difficulty).", params: []param{
			{name: "delta_time", kind: kindNumber, about: "By how many seconds, 1 to 3600"}}},
	}
}

// chunkJSON is a chunk of a cluster. Its fees are modified ones, in coins.
type chunkJSON struct {
	Fees   json.Number  `json:"chunkfee"`
	Weight int          `json:"chunkweight"`
	TxIDs  []types.Hash `json:"txs"`
}

// clusterJSON is a cluster.
type clusterJSON struct {
	Weight int         `json:"clusterweight"`
	Count  int         `json:"txcount"`
	Chunks []chunkJSON `json:"chunks"`
}

// getMempoolCluster is Core's getmempoolcluster.
func getMempoolCluster(s *Server, a *args) work {
	txid := a.hash(0, "txid")
	return func(context.Context) (any, error) {
		chunks := s.Pool.Cluster(txid)
		if len(chunks) == 0 {
			return nil, errNotInPool
		}
		var j clusterJSON
		for _, c := range chunks {
			j.Weight += c.Weight
			j.Count += len(c.TxIDs)
			j.Chunks = append(j.Chunks, chunkJSON{amount(c.Fees), c.Weight, c.TxIDs})
		}
		return j, nil
	}
}

// cornerJSON is a corner of the feerate diagram.
type cornerJSON struct {
	Weight int64       `json:"weight"`
	Fees   json.Number `json:"fee"`
}

// getMempoolFeeRateDiagram is Core's getmempoolfeeratediagram.
func getMempoolFeeRateDiagram(_ context.Context, s *Server) (any, error) {
	corners := s.Pool.Diagram()
	list := make([]cornerJSON, len(corners))
	for i, c := range corners {
		list[i] = cornerJSON{c.Weight, amount(c.Fees)}
	}
	return list, nil
}

// orphanJSON is an orphan. From are numbers of peers (getpeerinfo.id).
type orphanJSON struct {
	TxID   types.Hash `json:"txid"`
	WTxID  types.Hash `json:"wtxid"`
	Bytes  int        `json:"bytes"`
	VSize  int        `json:"vsize"`
	BIP141 int        `json:"vsize_bip141"`
	Weight int        `json:"weight"`
	From   []int      `json:"from"`
	Hex    string     `json:"hex,omitempty"`
}

// getOrphanTxs is Core's getorphantxs.
func getOrphanTxs(s *Server, a *args) work {
	if jsonType(a.values[0]) == "bool" {
		a.fail(failf(CodeType, "Verbosity was boolean but only integer allowed"))
	}
	verbosity := a.int32(0, 0)
	if verbosity < 0 || verbosity > 2 {
		a.fail(failf(CodeInvalidParam, "Invalid verbosity value %d", verbosity))
	}
	return func(context.Context) (any, error) {
		txids, list := []types.Hash{}, []orphanJSON{}
		for _, o := range s.Network.Orphans() {
			txids = append(txids, o.Tx.TxID())
			if verbosity == 0 {
				continue
			}
			j := orphanJSON{
				TxID: o.Tx.TxID(), WTxID: o.WTxID, Bytes: o.Tx.Size(), VSize: o.Tx.VirtualSize(), BIP141: o.Tx.VirtualSize(), Weight: o.Tx.Weight(), From: o.From,
			}
			if verbosity == 2 {
				j.Hex = hex.EncodeToString(o.Tx.AppendTo(nil))
			}
			list = append(list, j)
		}
		if verbosity == 0 {
			return txids, nil
		}
		return list, nil
	}
}

// mockScheduler is Core's mockscheduler. Here it is about what is announced again.
func mockScheduler(s *Server, a *args) work {
	a.fail(s.forTesting("mockscheduler"))
	by := a.integer(0, 0)
	if by <= 0 || by > 3600 {
		a.fail(failf(CodeMisc, "delta_time must be between 1 and 3600 seconds (1 hr)"))
	}
	return func(context.Context) (any, error) {
		s.Network.Advance(time.Duration(by) * time.Second)
		return nil, nil
	}
}
