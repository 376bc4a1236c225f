package descriptor

import "slices"

// Origin is where a key of a descriptor comes from, as its text says.
type Origin struct {
	Fingerprint [4]byte  // of the master key; of the key itself if no origin stands before it
	Path        []uint32 // from there to the key
	Extended    string   // the public half as text (BIP32); empty for a single key
	Point       []byte   // of a single key, compressed, or 65 bytes; nil for an extended one
}

// Origins returns the origin of each key in the order of the text, those of the members in
// place of an aggregate. An owner finds keys of their own by it.
func (d *Descriptor) Origins() (list []Origin) {
	for _, k := range d.keys {
		list = k.origins(list)
	}
	return list
}

func (k *key) origins(list []Origin) []Origin {
	if k.members != nil {
		for _, m := range k.members {
			list = m.origins(list)
		}
		return list
	}
	o := Origin{Extended: k.public}
	switch {
	case k.origin != nil:
		o.Fingerprint, o.Path = k.origin.fingerprint, slices.Clone(k.origin.path)
	case k.root != nil:
		o.Fingerprint = k.fingerprint
	default:
		o.Fingerprint = fingerprintOf(k.point)
	}
	if k.root == nil {
		o.Point = slices.Clone(k.point)
	}
	return append(list, o)
}
