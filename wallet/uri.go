package wallet

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// PaymentURI asks somebody for a payment (BIP321, which BIP21 became). Its scheme is karat on
// every network, and the address's prefix tells which it is: karat:krt1p…?amount=1.5. On a
// network with Bitcoin's own prefixes it is bitcoin, so that Bitcoin's tools take it.
type PaymentURI struct {
	Address string
	Amount  types.Amount // 0: the payer chooses
	Label   string       // who is to be paid
	Message string       // what for
}

// The bounds of a URI, which may be anybody's: in bytes, and of a message in characters.
const (
	maxURI     = 4000
	maxMessage = 1000
)

// ErrURI is wrapped by the errors of ParseURI.
var ErrURI = errors.New("not a URI that asks for a payment")

// uriScheme returns the scheme of a network, by its address prefix.
func uriScheme(hrp string) string {
	switch hrp {
	case "bc", "tb", "bcrt":
		return "bitcoin"
	}
	return "karat"
}

// IsURI reports whether a text can only be meant as a URI.
func IsURI(text string) bool { return strings.ContainsAny(text, ":?") }

// String returns the URI, with each part percent-encoded (RFC 3986) that needs to be.
func (u PaymentURI) String() string {
	hrp, _, _ := strings.Cut(u.Address, "1p")
	text := uriScheme(hrp) + ":" + u.Address
	separator := "?"
	add := func(key, value string) {
		// QueryEscape leaves nothing that has a meaning in a URI, but writes a space as
		// the plus sign of web forms.
		text += separator + key + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		separator = "&"
	}
	if u.Amount > 0 {
		add("amount", strings.TrimRight(strings.TrimRight(u.Amount.String(), "0"), "."))
	}
	if u.Label != "" {
		add("label", u.Label)
	}
	if u.Message != "" {
		add("message", u.Message)
	}
	return text
}

// Check refuses what others would not take, or what a line cannot show. Errors: ErrURI.
func (u PaymentURI) Check() error {
	switch {
	case u.Amount < 0:
		return fmt.Errorf("%w: a negative amount", ErrURI)
	case checkLabelText(u.Label) != nil:
		return fmt.Errorf("%w: its label: %w", ErrURI, checkLabelText(u.Label))
	case utf8.RuneCountInString(u.Message) > maxMessage:
		return fmt.Errorf("%w: the message has more than %d characters", ErrURI, maxMessage)
	case !utf8.ValidString(u.Message) || strings.ContainsFunc(u.Message, notInLabel):
		return fmt.Errorf("%w: the message has characters that cannot be shown", ErrURI)
	}
	return nil
}

// ParseURI reads a URI, or an address alone, with its amount or without. An address of another
// network is refused, and so is a parameter that the URI says is needed (req-…) and that is
// not known here. Errors: ErrURI.
func ParseURI(hrp, text string) (u PaymentURI, err error) {
	if len(text) > maxURI {
		return u, fmt.Errorf("%w: it has more than %d bytes", ErrURI, maxURI)
	}
	rest, query, _ := strings.Cut(text, "?")
	if scheme, after, ok := strings.Cut(rest, ":"); ok {
		if !strings.EqualFold(scheme, uriScheme(hrp)) {
			return u, fmt.Errorf("%w of this network: it begins with %q, and not with %q", ErrURI, shortened(scheme+":"), uriScheme(hrp)+":")
		}
		rest = after
	}
	u.Address = rest
	if query, _, _ = strings.Cut(query, "#"); query != "" {
		if err := u.parseQuery(hrp, query); err != nil {
			return PaymentURI{}, err
		}
	}
	script, err := taproot.DecodeAddress(hrp, u.Address)
	if err != nil {
		return PaymentURI{}, fmt.Errorf("%w: %q: %w", ErrURI, shortened(u.Address), err)
	}
	if u.Address, err = taproot.EncodeAddress(hrp, script); err != nil { // in lower case
		return PaymentURI{}, err
	}
	return u, u.Check()
}

// parseQuery reads the parameters. Keys are taken in either case, as codes in capitals need.
func (u *PaymentURI) parseQuery(hrp, query string) (err error) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if key, err = url.PathUnescape(key); err != nil {
			return fmt.Errorf("%w: %w", ErrURI, err)
		}
		if value, err = url.PathUnescape(value); err != nil { // which leaves a plus sign alone
			return fmt.Errorf("%w: %w", ErrURI, err)
		}
		key = strings.ToLower(key)
		known := true
		switch key {
		case "amount":
			u.Amount, err = parseURIAmount(value)
		case "label":
			u.Label = value
		case "message":
			u.Message = value
		case hrp:
			// BIP321 has further addresses under their prefix, and one may be the only one.
			if known = u.Address == ""; known {
				u.Address = value
			}
		default:
			known = false
		}
		switch {
		case err != nil:
			return err
		case known && seen[key]:
			return fmt.Errorf("%w: it has %s twice", ErrURI, key)
		case strings.HasPrefix(key, "req-"):
			return fmt.Errorf("%w that karat can keep to: it needs %q, which is not known here", ErrURI, shortened(key))
		}
		seen[key] = true
	}
	return nil
}

// parseURIAmount reads coins as the BIP writes them, in which digits on either side of the
// point may be missing.
func parseURIAmount(text string) (types.Amount, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole+fraction == "" {
		return 0, fmt.Errorf("%w: its amount is empty", ErrURI)
	}
	padded := "0" + whole
	if fraction != "" {
		padded += "." + fraction
	}
	amount, err := types.ParseAmount(padded)
	if err != nil || amount == 0 {
		return 0, fmt.Errorf("%w: its amount is %q: want coins with at most eight decimals, such as 1.5", ErrURI, shortened(text))
	}
	return amount, nil
}
