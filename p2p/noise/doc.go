// Package noise gives a connection between two nodes secrecy and identity. It turns a
// net.Conn into one whose bytes nobody else reads or changes, and whose other end has
// proved which node it is.
//
// The one idea is that both things come from one handshake, the XX pattern of the Noise
// protocol framework (noiseprotocol.org). Each side makes a key for this connection
// only, and proves that it has the lasting key of its node. All four keys and the
// network's identity go into one hash. If anything differs between the two sides, be it
// the network or one byte on the way, their hashes differ and nothing decrypts. So no
// message has to say what network it is of, and none can be forged.
//
//	key, err := noise.LoadOrCreateKey(path)
//	c, err := noise.Client(ctx, conn, key, params.Identity(), &wanted) // where it dialled
//	c, err := noise.Server(ctx, conn, key, params.Identity())          // where it listens
//	c.RemoteID()                                                       // is proved
//
// A caller must know:
//
//   - The connection that went in stays the caller's to close, after an error too.
//   - A handshake lasts as long as its context. The package has no timeouts of its own.
//   - Whoever can cut a connection can cut it between any two bytes, and the end of the
//     stream does not tell. So what is sent must say its own length.
//   - An eavesdropper sees when bytes are sent, and how many. Nothing is padded.
//
// The package knows nothing of messages, and it decides nothing about whom to talk to.
// docs/wire-protocol.md describes it for a second implementation, with every byte of an
// example.
package noise
