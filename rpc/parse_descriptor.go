package rpc

import (
	"errors"

	"github.com/karatcoin/karat/chain/descriptor"
)

// keys is how the network writes keys and addresses.
func (s *Server) keys() descriptor.Keys { return descriptor.KeysOf(s.Params.Name, s.Params.HRP) }

// scriptOfDescriptor returns the one script that a descriptor stands for. A checksum may
// be left out. Errors have Core's words; those that are an *Error are final, others may
// mean that the text is no descriptor.
func (s *Server) scriptOfDescriptor(text string) ([]byte, error) {
	d, err := descriptor.Parse(text, s.keys())
	if err != nil {
		return nil, err
	}
	if d.Ranged() {
		return nil, failf(CodeInvalidParam, "Ranged descriptor not accepted. Maybe pass through deriveaddresses first?")
	}
	scripts, err := d.Scripts(0)
	switch {
	case err != nil:
		return nil, descriptorRefusal(err)
	case len(scripts) > 1:
		return nil, failf(CodeInvalidParam, "Multipath descriptor not accepted")
	}
	return scripts[0], nil
}

// descriptorRefusal is why a descriptor has no scripts here.
func descriptorRefusal(err error) *Error {
	if errors.Is(err, descriptor.ErrNoPrivateKey) {
		return failf(CodeAddressOrKey, "Cannot derive script without private keys")
	}
	return failf(CodeAddressOrKey, "%s", err)
}
