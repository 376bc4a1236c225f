package p2p

import (
	"sync/atomic"

	"github.com/karatcoin/karat/p2p/wire"
)

// traffic counts the bytes of messages by their type. There is one count for each value
// that a type can have, so that it does not grow, whatever a peer sends.
type traffic [1 << 8]atomic.Uint64

// otherTypes is the name under which types that are not known are counted together. It is
// Bitcoin Core's, by which clients know it.
const otherTypes = "*other*"

// add counts the bytes of a fragment of a message.
func (t *traffic) add(typ wire.Type, bytes int) { t[typ].Add(uint64(bytes)) }

// list returns the counts that are not 0, by the names of the types.
func (t *traffic) list() map[string]uint64 {
	list := map[string]uint64{}
	for i := range t {
		typ, name := wire.Type(i), otherTypes
		if typ.Known() {
			name = typ.String()
		}
		if n := t[i].Load(); n > 0 {
			list[name] += n
		}
	}
	return list
}
