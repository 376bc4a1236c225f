package wallet

import (
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
)

// Descriptor returns the descriptor of a branch (BIP380, BIP386) with its
// checksum: tr([fingerprint/86h/coinh/0h]xpub/branch/*)#checksum. Who has it
// sees all that the branch owns, and can spend nothing. The branch is Receive or
// Change.
func (a *Account) Descriptor(b Branch) string {
	text := fmt.Sprintf("tr([%08x/%dh/%dh/0h]%s/%d/*)", a.fingerprint, purpose, a.coinType, a.text, b)
	return text + "#" + taproot.DescriptorChecksum(text)
}
