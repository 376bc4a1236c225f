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
		if !s.limits.enter(from, s.o.Clock(), func() bool { return s.makeRoom(from) }) {
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
