package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
)

// The error codes of JSON-RPC and, where it has its own, of Bitcoin Core
// (src/rpc/protocol.h), by which clients tell errors apart.
const (
	CodeInvalidRequest  = -32600
	CodeMethodNotFound  = -32601
	CodeInvalidParams   = -32602
	CodeInternal        = -32603
	CodeParse           = -32700
	CodeMisc            = -1
	CodeForbidden       = -2 // to this user (in Core once: by safe mode)
	CodeType            = -3
	CodeAddressOrKey    = -5 // an unknown block or transaction, a bad address
	CodeInvalidParam    = -8
	CodeDatabase        = -20
	CodeDeserialization = -22
	CodeVerify          = -25
	CodeVerifyRejected  = -26
	CodeAlreadyInChain  = -27
	CodeInWarmup        = -28
	CodeNodeNotAdded    = -24
	CodeNodeAdded       = -23
	CodeNodeNotFound    = -29
)

// Error is an error as clients see it.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// RPCCode returns the code.
func (e *Error) RPCCode() int { return e.Code }

func failf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError makes an error one that clients see. What is our own fault is not told
// in detail to whom it is of no use.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return failf(CodeMisc, "the node took too long; try again")
	case errors.Is(err, context.Canceled):
		return failf(CodeMisc, "the node is shutting down")
	case errors.Is(err, consensus.ErrNotFound):
		return failf(CodeMisc, "Block not available (pruned data)")
	case errors.Is(err, consensus.ErrLocal):
		return failf(CodeDatabase, "%v", err)
	}
	return failf(CodeMisc, "%v", err)
}
