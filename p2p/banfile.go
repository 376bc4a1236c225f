package p2p

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// maxBanFile bounds what is read of a file of bans, in bytes.
const maxBanFile = 4 << 20

// maxBanTime is the last second that a ban may end in, far in the future: beyond it
// times do not compare.
const maxBanTime = 1 << 40

// savedBan is a ban in the file, which is of the form of Bitcoin Core's banlist.json. An
// id stands where an address is in Core's.
type savedBan struct {
	Version int    `json:"version"`
	Created int64  `json:"ban_created"`  // seconds since 1970
	Until   int64  `json:"banned_until"` // seconds since 1970
	Address string `json:"address"`
}

type savedBans struct {
	Banned []savedBan `json:"banned_nets"`
}

const banVersion = 1

// decodeBans reads a file of bans. It leaves out what it does not understand, and counts
// that: the other bans hold nevertheless.
func decodeBans(data []byte) (list []peerinfo.Ban, left int, err error) {
	var saved savedBans
	if err := json.Unmarshal(data, &saved); err != nil {
		return nil, 0, err
	}
	for _, s := range saved.Banned {
		who, err := peerinfo.ParseSelector(s.Address)
		if err != nil || s.Version != banVersion || s.Created < 0 || s.Until < 0 || s.Until > maxBanTime || len(list) >= maxBanned {
			left++
			continue
		}
		list = append(list, peerinfo.Ban{Who: who, Since: time.Unix(s.Created, 0), Until: time.Unix(s.Until, 0)})
	}
	return list, left, nil
}

// encodeBans is the other way.
func encodeBans(list []peerinfo.Ban) ([]byte, error) {
	saved := savedBans{Banned: []savedBan{}}
	for _, ban := range list {
		saved.Banned = append(saved.Banned, savedBan{banVersion, ban.Since.Unix(), ban.Until.Unix(), ban.Who.String()})
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	return append(data, '\n'), err
}

// load reads the file. One that cannot be read is set aside, so that the next ban does
// not overwrite what somebody may mend.
func (b *bans) load() {
	if b.file == "" {
		return
	}
	list, left, err := readBans(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		aside := b.file + ".bad"
		b.log.Error("the bans could not be read", "file", b.file, "err", err, "set_aside_as", aside, "set_aside_err", os.Rename(b.file, aside))
		return
	}
	if left > 0 {
		b.log.Warn("some bans could not be read", "file", b.file, "left_out", left)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ban := range list {
		b.set[ban.Who] = ban
	}
	b.expire(b.now())
}

// reload reads the file again in place of the operator's bans. A file of which some cannot be
// read is refused: somebody has just changed it, and can mend it. Without a file there are none.
func (b *bans) reload() error {
	if b.file == "" {
		return nil
	}
	b.saving <- struct{}{} // nothing is half written
	defer func() { <-b.saving }()
	list, left, err := readBans(b.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		list = nil
	case err != nil:
		return fmt.Errorf("%s: %w", b.file, err)
	case left > 0:
		return fmt.Errorf("%s: %d of its bans are none", b.file, left)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.set)
	for _, ban := range list {
		b.set[ban.Who] = ban
	}
	b.expire(b.now())
	return nil
}

func readBans(path string) (list []peerinfo.Ban, left int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBanFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxBanFile {
		return nil, 0, fmt.Errorf("it has more than %d bytes", maxBanFile)
	}
	return decodeBans(data)
}

// save writes the operator's bans, whole or not at all. Who comes second waits for the
// first, so that the file never goes back to an older list. An error is the file's.
func (b *bans) save() error {
	if b.file == "" {
		return nil
	}
	b.saving <- struct{}{}
	defer func() { <-b.saving }()
	var list []peerinfo.Ban
	for _, ban := range b.list() {
		if !ban.Automatic {
			list = append(list, ban)
		}
	}
	data, err := encodeBans(list)
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(b.file, data)
}
