package rpc

import (
	"context"

	"github.com/karatcoin/karat/chain/pending"
)

func poolFileMethods() []method {
	return []method{
		{name: "savemempool", slow: true, read: noParams(saveMempool), about: "Saves the mempool to its file, with fee deltas and what no peer has asked for. The node does so itself every few minutes and at its end."},
		{name: "importmempool", slow: true, read: importMempool, about: "Gives the mempool what is in a file of this program or of Bitcoin Core (mempool.dat).", params: []param{
			{name: "filepath", kind: kindString, about: "The file, on the node's machine"},
			{name: "options", kind: kindObject, optional: "none", about: "An object with any of the named arguments. What a file from a stranger says besides the transactions should not be taken", options: []param{
				{name: "use_current_time", kind: kindBool, optional: "true", about: "Whether the transactions come now; false takes the times of the file"},
				{name: "apply_fee_delta_priority", kind: kindBool, optional: "false", about: "Whether to add the fee deltas of the file to those that are here"},
				{name: "apply_unbroadcast_set", kind: kindBool, optional: "false", about: "Whether to take from the file what no peer has asked for"}}}}},
	}
}

// saveMempool is Core's savemempool.
func saveMempool(_ context.Context, s *Server) (any, error) {
	if !s.Pool.Info().Loaded {
		return nil, failf(CodeMisc, "The mempool was not loaded yet")
	}
	path := s.Control.MempoolFile()
	if err := s.Pool.Save(path); err != nil {
		s.Logger.Warn("the mempool could not be saved", "err", err)
		return nil, failf(CodeMisc, "Unable to dump mempool to disk")
	}
	return map[string]string{"filename": path}, nil
}

// importMempool is Core's importmempool. Core takes what is damaged for a failure, too, after
// all that stands before it.
func importMempool(s *Server, a *args) work {
	path := a.text(0, "")
	var options struct {
		Now         *bool `json:"use_current_time"`
		Deltas      bool  `json:"apply_fee_delta_priority"`
		Unbroadcast bool  `json:"apply_unbroadcast_set"`
	}
	a.options(1, &options)
	wanted := pending.Import{Times: options.Now != nil && !*options.Now, Deltas: options.Deltas, Unbroadcast: options.Unbroadcast}
	return func(ctx context.Context) (any, error) {
		if s.Control.Syncing() {
			return nil, failf(CodeInitialDownload, "Can only import the mempool after the block download and sync is done.")
		}
		if err := s.Pool.Import(ctx, path, wanted); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			s.Logger.Warn("a mempool file could not be imported", "err", err)
			return nil, failf(CodeMisc, "Unable to import mempool file, see debug log for details.")
		}
		return struct{}{}, nil
	}
}
