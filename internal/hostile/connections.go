package hostile

import (
	"context"
	"crypto/ecdh"
	"io"
	"net"
	"time"
)

// silent is the one who does not even answer pings.
const silent = "silent"

// aboutConnections are those who take places.
var aboutConnections = []Behaviour{
	{Name: silent, About: "says hello, and nothing more", speak: func(ctx context.Context, _ *Stranger) { <-ctx.Done() }},
	{Name: "idle", About: "opens a connection, and sends nothing", call: idle},
	{Name: "half-handshake", About: "begins the handshake, and does not go on", call: halfHandshake},
	{Name: "hang-up", About: "hangs up soon after each hello, and calls again", speak: hangUp},
	{Name: "deaf", About: "reads nothing", speak: func(ctx context.Context, _ *Stranger) { <-ctx.Done() }, deaf: true},
}

func idle(ctx context.Context, conn net.Conn) { wait(ctx, conn) }

// wait reads until the other side hangs up.
func wait(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, conn)
}

func halfHandshake(ctx context.Context, conn net.Conn) {
	// Any point is a key, so it need not be known.
	key, err := ecdh.X25519().NewPrivateKey([]byte("a key that everybody knows......"))
	if err != nil {
		panic(err) // the key is a constant
	}
	if _, err := conn.Write(key.PublicKey().Bytes()); err == nil {
		wait(ctx, conn)
	}
}

func hangUp(ctx context.Context, s *Stranger) {
	pause(ctx, time.Second)
	s.conn.Close()
}
