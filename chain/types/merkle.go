package types

import "crypto/sha256"

// MerkleRoot returns the root of Bitcoin's merkle tree over the leaves. It is the zero
// hash if there are none. The leaves are left as they are.
//
// A level of odd length pairs its last node with itself. So a list whose tail is
// repeated can have the same root as the shorter list (CVE-2012-2459). mutated reports
// that two equal nodes were paired, which happens in no honest list.
func MerkleRoot(leaves []Hash) (root Hash, mutated bool) {
	if len(leaves) == 0 {
		return Hash{}, false
	}
	level := append(make([]Hash, 0, len(leaves)+1), leaves...)
	for len(level) > 1 {
		for i := 0; i+1 < len(level); i += 2 {
			mutated = mutated || level[i] == level[i+1]
		}
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		next := level[:len(level)/2]
		for i := range next {
			next[i] = hashPair(&level[2*i], &level[2*i+1])
		}
		level = next
	}
	return level[0], mutated
}

// MerkleBranch returns the nodes beside the way from a leaf to the root, from below, of a tree
// that has the leaf at a position. The leaves are left as they are.
func MerkleBranch(leaves []Hash, at int) (nodes []Hash) {
	level := append(make([]Hash, 0, len(leaves)+1), leaves...)
	for ; len(level) > 1; at /= 2 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		nodes = append(nodes, level[at^1])
		next := level[:len(level)/2]
		for i := range next {
			next[i] = hashPair(&level[2*i], &level[2*i+1])
		}
		level = next
	}
	return nodes
}

func hashPair(left, right *Hash) Hash {
	var both [2 * HashSize]byte
	copy(both[:HashSize], left[:])
	copy(both[HashSize:], right[:])
	first := sha256.Sum256(both[:])
	return sha256.Sum256(first[:])
}
