package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
)

// multisigPurpose is of keys that are shared with others, whatever the script (BIP87).
const multisigPurpose = 87

// unspendableKey is the point of BIP341 of which nobody knows the private key.
const unspendableKey = "0250929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"

// SharedKey returns the key expression that a wallet gives to those with whom it makes an
// account: [fingerprint/87h/coinh/accounth]xpub (BIP87, BIP380).
func (s *Signer) SharedKey(p *consensus.Params, account uint32) (string, error) {
	if s.master == nil {
		return "", errWiped
	}
	if account >= hardened(0) {
		return "", fmt.Errorf("account %d is out of range", account)
	}
	key, err := derivePath(s.master, hardened(multisigPurpose), hardened(coinType(p)), hardened(account))
	if err != nil {
		return "", err
	}
	defer key.Zero()
	text, err := publicText(key)
	return fmt.Sprintf("[%x/%dh/%dh/%dh]%s", s.fingerprint, multisigPurpose, coinType(p), account, text), err
}

// ErrKeys is wrapped by the errors about keys of which no account for several can be made.
var ErrKeys = errors.New("no account can be made of these keys")

// MultisigDescriptor returns the descriptor of an account that takes the signatures of
// some of several keys, which are expressions as SharedKey makes them.
//
// The script is sortedmulti_a in the only leaf, so nobody has to keep the order of the
// keys. The internal key is one that nobody has. With an aggregate of all keys there
// instead, all of them together would pay less; but who signs k of n seldom has all n at
// hand, few programs sign so, and what spends must be easy to say. Who wants all to sign
// takes MuSigDescriptor.
func MultisigDescriptor(p *consensus.Params, threshold int, keys []string) (string, error) {
	points, err := checkShared(p, keys)
	if err != nil {
		return "", err
	}
	if threshold < 1 || threshold > len(keys) {
		return "", fmt.Errorf("%w: %d of %d signatures", ErrKeys, threshold, len(keys))
	}
	internal, err := unspendable(p, points)
	if err != nil {
		return "", err
	}
	list := strings.Join(slices.Sorted(slices.Values(keys)), "/<0;1>/*,") + "/<0;1>/*"
	return summed(fmt.Sprintf("tr(%s/<0;1>/*,sortedmulti_a(%d,%s))", internal, threshold, list)), nil
}

// MuSigDescriptor returns the descriptor of an account that takes the signatures of all keys,
// which make one signature together (BIP327, BIP390). On the chain nobody sees that there
// were several.
func MuSigDescriptor(p *consensus.Params, keys []string) (string, error) {
	if _, err := checkShared(p, keys); err != nil {
		return "", err
	}
	return summed(fmt.Sprintf("tr(musig(%s)/<0;1>/*)", strings.Join(slices.Sorted(slices.Values(keys)), ","))), nil
}

func summed(text string) string { return text + "#" + descriptor.Checksum(text) }

// maxShared is how many hold keys of one account.
const maxShared = 100

// checkShared refuses keys of which an account would not be what it seems, and returns their
// points, sorted.
func checkShared(p *consensus.Params, keys []string) (points [][]byte, err error) {
	if len(keys) < 2 || len(keys) > maxShared {
		return nil, fmt.Errorf("%w: %d keys: want 2 to %d", ErrKeys, len(keys), maxShared)
	}
	for i, text := range keys {
		d, err := descriptor.Parse("rawtr("+text+")", descriptor.KeysOf(p.Name, p.HRP))
		if err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrKeys, i+1, err)
		}
		switch origins := d.Origins(); {
		case d.HasPrivateKeys():
			return nil, fmt.Errorf("%w: key %d is a private key: keep it to yourself, and give its public half", ErrKeys, i+1)
		case len(origins) != 1 || origins[0].Extended == "" || d.Ranged() || !strings.HasSuffix(text, origins[0].Extended):
			return nil, fmt.Errorf("%w: key %d is no extended public key; others print theirs with karat multisig key", ErrKeys, i+1)
		case !strings.HasPrefix(text, "["):
			return nil, fmt.Errorf("%w: key %d has no origin, such as [d34db33f/87h/1h/0h] before it: its owner's wallet could not tell that it is its own", ErrKeys, i+1)
		default:
			extended, err := hdkeychain.NewKeyFromString(origins[0].Extended)
			if err != nil {
				return nil, fmt.Errorf("%w: key %d: %w", ErrKeys, i+1, err)
			}
			point, err := extended.ECPubKey()
			if err != nil {
				return nil, fmt.Errorf("%w: key %d: %w", ErrKeys, i+1, err)
			}
			raw := point.SerializeCompressed()
			if slices.ContainsFunc(points, func(other []byte) bool { return bytes.Equal(other, raw) }) {
				return nil, fmt.Errorf("%w: key %d is there twice", ErrKeys, i+1)
			}
			points = append(points, raw)
		}
	}
	slices.SortFunc(points, bytes.Compare)
	return points, nil
}

// unspendable returns an extended key whose children nobody can sign for: BIP341's point. Its
// chain code is the hash of the others' keys, so that each account has its own, and whoever
// has the descriptor can see that nothing is hidden in it.
func unspendable(p *consensus.Params, points [][]byte) (string, error) {
	point, err := hex.DecodeString(unspendableKey)
	if err != nil {
		return "", err
	}
	code := sha256.Sum256(bytes.Join(points, nil))
	version := keyPrefix(descriptor.KeysOf(p.Name, p.HRP).Test).HDPublicKeyID
	return hdkeychain.NewExtendedKey(version[:], point, code[:], make([]byte, 4), 0, 0, false).String(), nil
}

// isUnspendable reports whether a key is a child of BIP341's point, or that point itself. Its
// fingerprint does not tell: an origin may say anything.
func isUnspendable(key *descriptor.Derived) bool {
	return hex.EncodeToString(key.Root[1:]) == unspendableKey[2:]
}

// aggregateOf returns the aggregate that a key is, or is derived from; nil if there is none.
func aggregateOf(out *descriptor.Output, key *descriptor.Derived) *descriptor.Aggregate {
	for i := range out.Aggregates {
		if out.Aggregates[i].Public == key.Root {
			return &out.Aggregates[i]
		}
	}
	return nil
}
