package stratum

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

// The extra nonces in the coinbase's script, in this order, as one push of bytes. No
// two of these are ever equal: jobs have numbers, a connection that is told of one
// again another revision, and connections differ by extra nonce 1.
const (
	numberSize      = 4 // of the job
	revisionSize    = 2
	extraNonce1Size = 4
	extraNonce2Size = 8 // which the miner chooses

	noncesSize = numberSize + revisionSize + extraNonce1Size + extraNonce2Size
)

// maxTag keeps the coinbase's script within its 100 bytes.
const maxTag = 60

// maxPayouts is how many lines a job keeps. Those who connect choose what they are paid by,
// and may come and go for as long as the job lives.
const maxPayouts = 2 * DefaultMaxConnections

// job is a template as miners are told of it.
type job struct {
	number   uint32
	template *template.Template
	header   types.Header // with the time at which the job was made
	target   consensus.Uint256
	limit    float64 // the difficulty of the network's target
	clean    bool    // it is on another tip than the one before, whose shares are worth nothing now
	made     time.Time
	tag      string

	// What the lines of all payouts have in common: before and behind the coinbase.
	before, behind string

	mu sync.Mutex
	// Guarded by mu:
	payouts map[string]*payoutJob // by script
}

// payoutJob is a job as those know it who are paid by one script.
type payoutJob struct {
	job          *job
	script       []byte
	first        []byte // of the coinbase, up to the revision
	last         []byte // of the coinbase, behind extra nonce 2
	firstDigits  string
	behindDigits string // last in hexadecimal, and all that follows but for clean_jobs
	shared       []byte // the line of revision 0
}

func newJob(number uint32, t *template.Template, clean bool, tag string, now, made time.Time) *job {
	j := &job{number: number, template: t, header: t.Header, clean: clean, made: made, tag: tag, payouts: map[string]*payoutJob{}}
	j.header.Timestamp = uint32(max(now.Unix(), int64(t.MinTime)))
	j.target, _, _ = consensus.ExpandBits(t.Header.Bits)
	j.limit = difficultyOf(j.target)
	j.before = `","` + hex.EncodeToString(swapWords(t.Header.PrevBlock)) + `","`
	branch := make([]byte, 0, 67*len(t.Branch)+64)
	branch = append(branch, `",[`...)
	for i, sibling := range t.Branch {
		if i > 0 {
			branch = append(branch, ',')
		}
		branch = append(branch, '"')
		branch = hex.AppendEncode(branch, sibling[:])
		branch = append(branch, '"')
	}
	j.behind = fmt.Sprintf(`%s],"%08x","%08x","%08x",`, branch, uint32(j.header.Version), j.header.Bits, j.header.Timestamp)
	return j
}

// swapWords is how the previous block's hash is told: each of its eight words the other
// way round. It has been a mistake of the first server that all have copied.
func swapWords(h types.Hash) []byte {
	b := make([]byte, 0, types.HashSize)
	for i := 0; i < types.HashSize; i += 4 {
		b = binary.BigEndian.AppendUint32(b, binary.LittleEndian.Uint32(h[i:]))
	}
	return b
}

// nonces are what tells one coinbase of a job and a payout from all others.
type nonces struct {
	number   uint32 // of the job
	revision uint16
	one      [extraNonce1Size]byte
	two      [extraNonce2Size]byte
}

// data is what the coinbase's script has behind the height.
func (j *job) data(n nonces) []byte {
	b := binary.BigEndian.AppendUint32([]byte{noncesSize}, n.number)
	b = binary.BigEndian.AppendUint16(b, n.revision)
	b = append(append(b, n.one[:]...), n.two[:]...)
	if j.tag != "" {
		b = append(append(b, byte(len(j.tag))), j.tag...)
	}
	return b
}

// paying returns the job as those know it who are paid by a script. It is made once, or
// seldom.
func (j *job) paying(script []byte) *payoutJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.payouts[string(script)]
	if p == nil {
		coinbase := j.template.Coinbase(script, j.data(nonces{number: j.number}))
		raw := coinbase.AppendStripped(make([]byte, 0, coinbase.StrippedSize()))
		// Version, number of inputs, previous output, length of the script, which is one
		// byte because the script has at most 100.
		at := 4 + 1 + types.HashSize + 4 + 1 + len(consensus.CoinbaseHeight(j.template.Height)) + 1 + numberSize
		end := at + revisionSize + extraNonce1Size + extraNonce2Size
		p = &payoutJob{job: j, script: script, first: raw[:at], last: raw[end:]}
		p.firstDigits, p.behindDigits = hex.EncodeToString(p.first), hex.EncodeToString(p.last)+j.behind
		p.shared = p.line(0, j.clean)
		if len(j.payouts) >= maxPayouts {
			clear(j.payouts) // who is still there has its own made again
		}
		j.payouts[string(script)] = p
	}
	return p
}

// jobID is the name of a job's revision.
func jobID(number uint32, revision uint16) string { return fmt.Sprintf("%x%04x", number, revision) }

// line returns the message that tells of the job.
func (p *payoutJob) line(revision uint16, clean bool) []byte {
	const head, middle, tail = `{"id":null,"method":"mining.notify","params":["`, `","`, "]}\n"
	j := p.job
	b := make([]byte, 0, len(head)+len(j.before)+len(p.firstDigits)+len(p.behindDigits)+64)
	b = append(append(b, head...), jobID(j.number, revision)...)
	b = append(append(b, j.before...), p.firstDigits...)
	b = fmt.Appendf(b, "%04x", revision)
	b = append(append(b, middle...), p.behindDigits...)
	return append(fmt.Appendf(b, "%t", clean), tail...)
}

// headerOf returns the header that a miner has hashed. version and time are the miner's
// choice.
func (p *payoutJob) headerOf(n nonces, version int32, ntime, nonce uint32) types.Header {
	raw := make([]byte, 0, len(p.first)+len(p.last)+noncesSize)
	raw = binary.BigEndian.AppendUint16(append(raw, p.first...), n.revision)
	raw = append(append(raw, n.one[:]...), n.two[:]...)
	raw = append(raw, p.last...)
	header := p.job.header
	header.MerkleRoot = p.job.template.Root(types.DoubleSHA256(raw))
	header.Version, header.Timestamp, header.Nonce = version, ntime, nonce
	return header
}

// block returns the whole block with such a header.
func (p *payoutJob) block(n nonces, header types.Header) *types.Block {
	return p.job.template.Block(header, p.job.template.Coinbase(p.script, p.job.data(n)))
}
