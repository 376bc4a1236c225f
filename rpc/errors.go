package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
)

// The error codes by which clients tell errors apart. Those of JSON-RPC itself are
// below -32000; the others are Bitcoin Core's (src/rpc/protocol.h).
const (
	CodeParse          = -32700 // not JSON
	CodeInvalidRequest = -32600 // JSON, but not a request
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602 // disconnectnode alone has it, in Core as well; else -1, -3 or -8
	CodeInternal       = -32603 // a bug in a method

	CodeMisc            = -1  // used wrongly, and whatever has no code of its own
	CodeForbidden       = -2  // to this user; Core has given up its meaning, safe mode
	CodeType            = -3  // a parameter of the wrong type
	CodeAddressOrKey    = -5  // an unknown block or transaction, a bad address
	CodeOutOfMemory     = -7  // clients hold too much already
	CodeInvalidParam    = -8  // a parameter of the right type with an impossible value
	CodeInitialDownload = -10 // blocks are missing
	CodeDatabase        = -20
	CodeDeserialization = -22 // hexadecimal that is no transaction or block
	CodeNodeAdded       = -23
	CodeNodeNotAdded    = -24
	CodeVerify          = -25 // the inputs are missing or spent, or a limit of the call is passed
	CodeVerifyRejected  = -26 // refused by consensus or policy, with the reason
	CodeAlreadyInChain  = -27
	CodeInWarmup        = -28 // ask again later
	CodeNodeNotFound    = -29
	CodeInvalidSubnet   = -30
)

// Error is an error as clients see it.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// RPCCode returns the code, for packages that ask through an interface of their own.
func (e *Error) RPCCode() int { return e.Code }

func failf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError makes an error one that clients see. A fault of this node keeps its words,
// because clients are the operator's own programs, and an operator needs them. The
// order matters: an error that a method has chosen wins, and a call that was ended
// may have failed in any way.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return failf(CodeMisc, "the call took too long; ask for less, or let the node's operator raise --rpc-call-time")
	case errors.Is(err, context.Canceled):
		return failf(CodeMisc, "the node is shutting down")
	case errors.Is(err, consensus.ErrNotFound):
		return failf(CodeMisc, "Block not available (pruned data)")
	case errors.Is(err, consensus.ErrLocal):
		return failf(CodeDatabase, "%v", err)
	}
	return failf(CodeMisc, "%v", err)
}
