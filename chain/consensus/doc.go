// Package consensus is the rules on which every node of a network must agree. They
// are pure functions: values go in, a verdict comes out. There is no clock, disk,
// lock or log here, so a rule can be read, tested and replayed by itself.
//
// A block is checked in steps, and each step needs more than the one before it:
//
//	CheckHeader     the header: its proof of work
//	DecodeBlock     the bytes
//	CheckBlock      the body: its merkle root, the form of each transaction
//	ValidateHeader  the parent's state: difficulty and times
//	ValidateBlock   the parent's state: height, lock times, witness commitment
//	ConnectBlock    the coins that CoinsNeeded names: amounts, maturity, relative locks
//	CheckScripts    the outputs that are spent: scripts and signatures
//
// OpenBlock takes the first three, which need nothing but the bytes. The package's
// Example takes all of them, and ends with what the block does to the coins:
//
//	connection, err := consensus.ConnectBlock(p, &parent, block, coins, ancestry)
//	update := &connection.Update // the coins spent, the coins made
//
// A rule that depends on the network is a function whose first argument is *Params.
// A method of Params tells of the network itself: its genesis block, the coins in
// it, the state after it, its identity.
//
// An error says by its kind what the caller does next (ErrInvalid, ErrMutated,
// ErrNotYet, ErrLocal), and by its Reason which rule is broken.
//
// The caller has three duties. It takes the steps in this order, for a later one
// relies on what an earlier one has checked. It gives the state and the coins that
// lie directly below the block, since nothing here could find out that they do not.
// And it takes a block for valid only when every claim of CheckScripts has been
// found true.
package consensus
