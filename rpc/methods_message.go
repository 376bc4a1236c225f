package rpc

import (
	"context"
	"errors"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/taproot"
)

func messageMethods() []method {
	return []method{
		{name: "verifymessage", slow: true, read: verifyMessage, about: "Says whether a message was signed by whoever can spend an address (BIP322). Locks of a signature are not compared with the chain.", params: []param{
			{name: "address", kind: kindString, about: "The address"},
			{name: "signature", kind: kindString, about: "The signature, simple or full, in base64 with its prefix"},
			{name: "message", kind: kindString, about: "The message"}}},
	}
}

// verifyMessage is Core's verifymessage, for the signatures that taproot addresses have.
func verifyMessage(s *Server, a *args) work {
	address, signature, text := a.text(0, ""), a.text(1, ""), a.text(2, "")
	script, err := taproot.DecodeAddress(s.Params.HRP, address)
	if err != nil {
		a.fail(failf(CodeAddressOrKey, "Invalid address"))
	}
	return func(context.Context) (any, error) {
		_, err := message.Verify(script, []byte(text), signature)
		switch {
		case errors.Is(err, message.ErrMalformed):
			return nil, failf(CodeType, "Malformed base64 encoding")
		case errors.Is(err, message.ErrInconclusive):
			return nil, failf(CodeMisc, "%v", err)
		}
		return err == nil, nil
	}
}
