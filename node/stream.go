package node

import (
	"context"
	"io"
	"os"
)

// waitingFile is a file that is opened by its first read, since opening a pipe waits for
// somebody to write to it.
type waitingFile struct {
	name string
	f    *os.File
}

// Read implements io.Reader.
func (w *waitingFile) Read(b []byte) (n int, err error) {
	if w.f == nil {
		if w.f, err = os.Open(w.name); err != nil {
			return 0, err
		}
	}
	return w.f.Read(b)
}

// interruptible reads from a stream that may stay silent, such as standard input, and
// gives up when the context ends. The read that is under way then goes on, since Go
// cannot end one, and what it brings is lost. So there is a buffer of its own between:
// the caller's memory must not be written to when the caller has gone.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte
	rest []byte   // of buf, not handed over yet
	err  error    // that came behind rest
	done chan int // receives the number of bytes of a read
}

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	return &interruptible{ctx: ctx, r: r, buf: make([]byte, 1<<16), done: make(chan int, 1)}
}

// Read implements io.Reader.
func (s *interruptible) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if len(s.rest) == 0 && s.err == nil {
		go func() {
			var n int
			n, s.err = s.r.Read(s.buf)
			s.done <- n
		}()
		select {
		case n := <-s.done:
			s.rest = s.buf[:n]
		case <-s.ctx.Done(): // which it stays, so that nothing of the read is looked at
			return 0, s.ctx.Err()
		}
	}
	if len(s.rest) == 0 {
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
