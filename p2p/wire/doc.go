// Package wire is the language that karat's nodes speak: the messages, their encoding and
// bounds, the fragments in which they travel, and compact blocks (BIP152's idea).
// docs/wire-protocol.md describes it for a second implementation.
//
// The one idea is that to read a message costs no more than to send it. Every type has a
// maximum, and a message that announces more ends the connection before anything is
// allocated. A buffer grows with what has come, and no list is longer than its bytes
// allow. What is not understood to the last byte is refused, so that no two nodes read
// one message in two ways.
//
//	var f wire.Fragmenter                            // of the goroutine that writes
//	err := f.Push(&wire.Ping{Nonce: 7})
//	b, more := f.AppendNext(nil)                     // one fragment, the urgent ones first
//
//	a := wire.NewAssembler(params.MaxBlockWeight)    // of the goroutine that reads
//	fragment, err := wire.ReadFragment(conn, buffer)
//	message, complete, err := a.Push(fragment)
//
// A caller must know:
//
//   - An error that wraps ErrProtocol ends the stream. Where the next message begins is
//     not known any more.
//   - A message that was decoded refers to its payload, and one that is sent to the
//     caller's bytes. Neither may change afterwards.
//   - A Tx and a Block are bytes here. Whether they are a transaction and a block is seen
//     where the rules are.
//   - Who may send what, how often and when is decided in p2p. That covers hello too,
//     which comes first.
//
// The package opens no connection, and keeps no state but that of a stream.
package wire
