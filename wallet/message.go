package wallet

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// ErrNotOwnAddress is an address that the wallet has no key of, as far as it knows.
var ErrNotOwnAddress = errors.New("the address is not one of this wallet's")

// Message is a text that somebody is about to sign by the key of an address (BIP322).
type Message struct {
	Address string
	Text    []byte // what is signed, byte for byte
	Coins   []Coin // what is proven to be the signer's beside the address: a proof of funds
	// Full has the signature written in its full form, which more programs read. It means
	// nothing to a proof of funds.
	Full bool

	draft *Draft
}

// NewMessage makes a message to sign by the key of an address. With coins it becomes a
// proof of funds, which tells everybody that one person has all of them. Errors:
// ErrNotOwnAddress, and those of a bad address.
func (w *Wallet) NewMessage(address string, text []byte, coins []Coin) (*Message, error) {
	script, err := taproot.DecodeAddress(w.params.HRP, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	key, ok := w.keys[string(script)]
	w.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotOwnAddress, address)
	}
	toSpend := message.ToSpend(script, text)
	m := &Message{Address: address, Text: text, Coins: coins, draft: &Draft{Tx: message.ToSign(toSpend)}}
	m.draft.Inputs = append([]Coin{{
		OutPoint: m.draft.Tx.Inputs[0].PreviousOutPoint, ScriptPubKey: script, Key: key,
	}}, coins...)
	for i := range coins {
		m.draft.Tx.Inputs = append(m.draft.Tx.Inputs, types.TxIn{PreviousOutPoint: coins[i].OutPoint})
	}
	return m, nil
}

// SignMessage returns the signature of a message, verified as others will do it. What is
// signed can never be in a block: its first input spends what does not exist. Errors:
// ErrNotOurs.
func (s *Signer) SignMessage(m *Message) (string, error) {
	if s.master == nil {
		return "", errWiped
	}
	if err := s.signInputs(m.draft); err != nil {
		return "", err
	}
	signature, err := m.encode()
	if err == nil {
		_, _, err = message.VerifyFunds(m.draft.Inputs[0].ScriptPubKey, m.Text, signature)
	}
	return signature, err
}

// encode writes the signature in the form that the message asks for.
func (m *Message) encode() (string, error) {
	switch {
	case len(m.Coins) > 0:
		return message.Funds(m.draft.Tx, m.draft.spent())
	case m.Full:
		return message.Full(m.draft.Tx), nil
	}
	return message.Simple(m.draft.Tx.Inputs[0].Witness), nil
}

// MessagePacket makes the PSBT by which those sign a message who share an account. SignPSBT
// signs it as any other.
func (w *Wallet) MessagePacket(m *Message) (*psbt.Packet, error) {
	p := message.Packet(m.draft.Tx, m.draft.spent(), m.Text)
	return p, w.Update(p)
}
