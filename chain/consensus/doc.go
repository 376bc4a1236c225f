// Package consensus is the rules that every node of a network must agree on, as
// pure functions: values in, verdict out. It has no clock, no disk, no lock and
// no log, so that a rule can be read, tested and replayed by itself.
//
// A block passes through these steps, each of which asks for more than the one
// before it. Example shows the whole way in code.
//
//	DecodeBlock     bytes
//	CheckHeader     the header: its proof of work
//	ValidateHeader  the state of the parent: difficulty, times
//	CheckBlock      the body: merkle root, form of each transaction
//	ValidateBlock   the state of the parent: height, lock times, witnesses
//	ConnectBlock    the coins that CoinsNeeded names: amounts, maturity
//	CheckScripts    the outputs that are spent: scripts and signatures
//
// Every rule that depends on the network is a function whose first argument is
// its *Params. Methods of Params tell of the network itself: its genesis block,
// the coins in it, the state after it, the identity.
//
// An error tells the caller what to do next by its kind (ErrInvalid, ErrMutated,
// ErrNotYet, ErrLocal) and names the broken rule by its Reason. The caller has two
// duties. Coins and state must be those of the parent; nothing here can find out
// that they are not. And a block is valid only when all steps have passed and all
// claims of CheckScripts hold.
package consensus
