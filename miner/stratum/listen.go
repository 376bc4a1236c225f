package stratum

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// acceptPause is how long the listener rests after an error, such as too many open files.
const acceptPause = 100 * time.Millisecond

// usefulFor is how long a connection is of use after a share, and at its beginning.
const usefulFor = time.Minute

// listen serves connections until the context ends, and returns when all have ended.
func (s *Server) listen(ctx context.Context) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	stop := context.AfterFunc(ctx, func() { s.o.Listener.Close() })
	defer stop()
	for {
		conn, err := s.o.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.o.Logger.Warn("a miner could not be let in", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		from := placeOf(conn.RemoteAddr())
		if !s.limits.enter(from, s.o.Clock(), s.makeRoom) {
			s.o.Logger.Debug("a miner was not let in", "from", from.name)
			conn.Close()
			continue
		}
		c := newConnection(s, conn, from)
		s.mu.Lock()
		s.connections[c] = struct{}{}
		s.mu.Unlock()
		connections.Go(func() {
			defer s.limits.leave(from)
			c.run(ctx)
		})
	}
}

// makeRoom ends the connection that has been of no use for longest, so that strangers who
// only connect cannot keep miners out. Who has found a share lately stays.
func (s *Server) makeRoom() bool {
	var idlest *connection
	s.mu.Lock()
	for c := range s.connections {
		if idlest == nil || c.useful.Load() < idlest.useful.Load() {
			idlest = c
		}
	}
	if idlest == nil || s.o.Clock().UnixNano()-idlest.useful.Load() < int64(usefulFor) {
		s.mu.Unlock()
		return false
	}
	delete(s.connections, idlest) // it is chosen once
	s.mu.Unlock()
	idlest.end(errNoUse)
	return true
}
