package psbt

import "fmt"

// Convert makes a packet one of another version, 0 or 2, of the same transaction. What only
// version 2 can say, that inputs and outputs may be added and which lock times inputs ask for,
// is dropped for version 0; its lock time is the one that follows from them. It fails with
// ErrLockTimes, and with ErrFormat for another version.
func (p *Packet) Convert(version uint32) error {
	switch version {
	case 2:
	case 0:
		lockTime, err := p.LockTime()
		if err != nil {
			return err
		}
		p.FallbackLockTime, p.Modifiable = &lockTime, nil
		for i := range p.Inputs {
			in := &p.Inputs[i]
			sequence := valueOr(in.Sequence, 0xffffffff)
			in.Sequence, in.MinTime, in.MinHeight = &sequence, nil, nil
		}
	default:
		return fmt.Errorf("%w: there is no version %d", ErrFormat, version)
	}
	p.Version = version
	return nil
}
