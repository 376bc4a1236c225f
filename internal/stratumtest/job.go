package stratumtest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
)

// Job is what mining.notify says, and what it takes to work on it.
type Job struct {
	ID             string
	PrevHash       [32]byte // in the header's order
	Coinb1, Coinb2 []byte
	Branch         [][]byte
	Version, Bits  uint32
	Time           uint32
	Clean          bool
	ExtraNonce1    []byte
	Difficulty     float64 // that its shares must have
	size2          int
	mask           uint32
}

// Share is what a miner has found.
type Share struct {
	Job         *Job
	ExtraNonce2 []byte
	Time, Nonce uint32
	VersionBits uint32
	Hash        [32]byte
}

// Params are those of mining.submit.
func (s Share) Params(worker string) []any {
	word := func(n uint32) string { return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, n)) }
	params := []any{worker, s.Job.ID, hex.EncodeToString(s.ExtraNonce2), word(s.Time), word(s.Nonce)}
	if s.Job.mask != 0 {
		params = append(params, word(s.VersionBits))
	}
	return params
}

func parseJob(params []json.RawMessage) *Job {
	if len(params) != 9 {
		return nil
	}
	var texts [8]string
	for i := range texts {
		if i != 4 && json.Unmarshal(params[i], &texts[i]) != nil {
			return nil
		}
	}
	j := &Job{ID: texts[0]}
	var siblings []string
	if json.Unmarshal(params[4], &siblings) != nil || json.Unmarshal(params[8], &j.Clean) != nil {
		return nil
	}
	bytesOf := func(digits string, want int) []byte {
		b, err := hex.DecodeString(digits)
		if err != nil || want > 0 && len(b) != want {
			return make([]byte, want)
		}
		return b
	}
	prev := bytesOf(texts[1], 32)
	for i := range 8 { // each word of four bytes is the other way round
		for k := range 4 {
			j.PrevHash[4*i+k] = prev[4*i+3-k]
		}
	}
	j.Coinb1, j.Coinb2 = bytesOf(texts[2], 0), bytesOf(texts[3], 0)
	for _, s := range siblings {
		j.Branch = append(j.Branch, bytesOf(s, 32))
	}
	j.Version = binary.BigEndian.Uint32(bytesOf(texts[5], 4))
	j.Bits = binary.BigEndian.Uint32(bytesOf(texts[6], 4))
	j.Time = binary.BigEndian.Uint32(bytesOf(texts[7], 4))
	return j
}

func double(b []byte) [32]byte {
	first := sha256.Sum256(b)
	return sha256.Sum256(first[:])
}

// Coinbase is the coinbase transaction, without its witness.
func (j *Job) Coinbase(extraNonce2 []byte) []byte {
	b := append([]byte(nil), j.Coinb1...)
	b = append(append(b, j.ExtraNonce1...), extraNonce2...)
	return append(b, j.Coinb2...)
}

// Header is the header of 80 bytes.
func (j *Job) Header(extraNonce2 []byte, time, nonce, versionBits uint32) []byte {
	root := double(j.Coinbase(extraNonce2))
	for _, sibling := range j.Branch {
		root = double(append(root[:], sibling...))
	}
	b := binary.LittleEndian.AppendUint32(nil, j.Version&^j.mask|versionBits)
	b = append(append(b, j.PrevHash[:]...), root[:]...)
	b = binary.LittleEndian.AppendUint32(b, time)
	b = binary.LittleEndian.AppendUint32(b, j.Bits)
	return binary.LittleEndian.AppendUint32(b, nonce)
}

// Worth is the difficulty for which a hash is low enough.
func Worth(hash [32]byte) float64 {
	value := 0.0
	for i := 31; i >= 0; i-- {
		value = value*256 + float64(hash[i])
	}
	return math.Ldexp(0xffff, 208) / value
}

// NetworkDifficulty is that of the job's bits.
func (j *Job) NetworkDifficulty() float64 {
	return 0xffff / float64(j.Bits&0xffffff) * math.Pow(256, float64(0x1d-int(j.Bits>>24)))
}

// Search tries nonces from one on, at most so many, with an extra nonce 2 that begins
// with a number, for a share.
func (j *Job) Search(extraNonce2 uint32, from uint32, tries int) (Share, bool) {
	return j.SearchFor(j.Difficulty, extraNonce2, from, tries)
}

// SearchFor is Search for shares of another difficulty. Negative: for those that have
// less.
func (j *Job) SearchFor(difficulty float64, extraNonce2 uint32, from uint32, tries int) (Share, bool) {
	s := Share{Job: j, ExtraNonce2: make([]byte, j.size2), Time: j.Time}
	binary.LittleEndian.PutUint32(s.ExtraNonce2, extraNonce2)
	header := j.Header(s.ExtraNonce2, s.Time, 0, 0)
	for i := range tries {
		s.Nonce = from + uint32(i)
		binary.LittleEndian.PutUint32(header[76:], s.Nonce)
		s.Hash = double(header)
		worth := Worth(s.Hash)
		if difficulty >= 0 && worth >= difficulty || difficulty < 0 && worth < -difficulty {
			return s, true
		}
	}
	return s, false
}

// Again is the share with another version, time or nonce, and the hash that this has.
func (s Share) Again(time, nonce, versionBits uint32) Share {
	s.Time, s.Nonce, s.VersionBits = time, nonce, versionBits
	s.Hash = double(s.Job.Header(s.ExtraNonce2, time, nonce, versionBits))
	return s
}
