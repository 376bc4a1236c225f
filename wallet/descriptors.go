package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
)

// Descriptors are what texts of other programs say about accounts.
type Descriptors struct {
	Texts []string // without checksums, one for each account
	Older int      // how many were left out since this network does not have their outputs
	Since int64    // seconds since 1970: none was used before; 0 if that is not known
}

// coreDescriptors is what Bitcoin Core's listdescriptors prints. Its importdescriptors takes
// the list alone.
type coreDescriptors struct {
	Descriptors []coreDescriptor `json:"descriptors"`
}

type coreDescriptor struct {
	Desc      string          `json:"desc"`
	Timestamp json.RawMessage `json:"timestamp"` // a number, or "now"
}

// Read adds what a text says: a descriptor or an extended key in each line, or Bitcoin Core's
// JSON. An extended key alone is taken for an account of single keys (BIP86). Errors:
// ErrAccount.
func (d *Descriptors) Read(text string, p *consensus.Params) error {
	text = strings.TrimPrefix(text, "\ufeff")
	var found []string
	var err error
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") && json.Valid([]byte(trimmed)) {
		found, err = d.readCore(trimmed)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAccount, err)
		}
	} else {
		for _, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				found = append(found, line)
			}
		}
		d.Since = 0
	}
	if len(found) > 2*maxAccounts {
		return fmt.Errorf("%w: %d descriptors", ErrAccount, len(found))
	}
	for _, one := range found {
		if err := d.add(one, p); err != nil {
			return err
		}
	}
	if len(d.Texts) == 0 {
		return fmt.Errorf("%w: no descriptor of taproot outputs, tr(…), is in it", ErrAccount)
	}
	return nil
}

// readCore reads Bitcoin Core's JSON.
func (d *Descriptors) readCore(text string) (found []string, err error) {
	var list coreDescriptors
	if text[0] == '[' {
		err = json.Unmarshal([]byte(text), &list.Descriptors)
	} else {
		err = json.Unmarshal([]byte(text), &list)
	}
	if err != nil {
		return nil, err
	}
	for i, one := range list.Descriptors {
		found = append(found, one.Desc)
		var since int64
		if json.Unmarshal(one.Timestamp, &since) != nil || since < 0 {
			since = 0
		}
		if i == 0 || since < d.Since {
			d.Since = since
		}
	}
	return found, nil
}

// add adds one, and joins it with the one whose change it is.
func (d *Descriptors) add(text string, p *consensus.Params) error {
	if IsExtendedKey(text) {
		text = "tr(" + text + "/<0;1>/*)"
	}
	parsed, err := descriptor.Parse(text, descriptor.KeysOf(p.Name, p.HRP))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAccount, err)
	}
	if parsed.HasPrivateKeys() {
		return fmt.Errorf("%w: the descriptor has private keys, and only public ones are kept here", ErrAccount)
	}
	if _, err := parsed.Scripts(0); errors.Is(err, descriptor.ErrNoOutput) {
		d.Older++
		return nil
	}
	text, _, _ = strings.Cut(parsed.String(), "#")
	for i, other := range d.Texts {
		for _, pair := range [][2]string{{other, text}, {text, other}} {
			const both = "/<0;1>/*"
			joined := strings.ReplaceAll(pair[0], "/0/*", both)
			if joined != pair[0] && joined == strings.ReplaceAll(pair[1], "/1/*", both) {
				d.Texts[i] = joined
				return nil
			}
		}
	}
	d.Texts = append(d.Texts, text)
	return nil
}

// Named gives the accounts names: one alone, then with numbers.
func (d *Descriptors) Named(name string) (list []NamedDescriptor) {
	for i, text := range d.Texts {
		n := NamedDescriptor{name, text}
		if i > 0 {
			n.Name = fmt.Sprintf("%s %d", name, i+1)
		}
		list = append(list, n)
	}
	return list
}

// IsExtendedKey reports whether a text is an extended public key, with or without its origin.
func IsExtendedKey(text string) bool {
	if origin, key, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(origin, "[") {
		text = key
	}
	key, err := hdkeychain.NewKeyFromString(text[:min(len(text), 120)])
	return err == nil && !key.IsPrivate()
}
