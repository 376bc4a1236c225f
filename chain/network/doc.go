// Package network is a network in one file, genesis.json: how the file is read,
// checked, written, compared and made. What the values mean for blocks is decided
// by package consensus, whose Params this package fills.
//
//	params, err := network.Parse(data)     // refuses what no network can have
//	data = network.Marshal(params)         // the same file again
//	for _, d := range network.Diff(a, b) { // field by field
//		fmt.Println(d.Field, d.A, d.B)
//	}
//
// A new network is a Params with its choices, to which Allocate adds the coins
// that exist from the start and MineGenesis the proof of work of the genesis
// block:
//
//	err := network.Allocate(params, []string{"krt1p…=1000"})
//	err = network.MineGenesis(ctx, params)
//
// The file is read strictly, because a mistake in it splits a network: a field
// that is unknown, missing or repeated is an error, and the error names it. All
// nodes of a network need the same file, but may add bootstrap peers of their
// own: Params.Identity tells which fields have to agree.
package network
