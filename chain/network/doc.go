// Package network is a network in one file, genesis.json: how the file is read,
// checked, written, compared and made. What the values mean for blocks is for package
// consensus, whose Params this package fills.
//
//	params, err := network.Parse(data)     // refuses what no network can have
//	data = network.Marshal(params)         // the same file again
//	for _, d := range network.Diff(a, b) { // field by field
//		fmt.Println(d.Field, d.A, d.B)
//	}
//
// To make a network, fill a Params with its choices. Allocate adds the coins that
// exist from the start, and MineGenesis finds the proof of work of the genesis block:
//
//	err := network.Allocate(params, []string{"krt1p…=1000"})
//	err = network.MineGenesis(ctx, params, nil)
//
// The file is read strictly, because a mistake in it would split a network. A field
// that is unknown, missing or repeated is an error, and the error names it.
//
// Whoever runs a network has one duty: all of its nodes need the same file. They may
// still differ in ports, bootstrap peers and the like. Params.Identity covers the
// fields in which they may not.
package network
