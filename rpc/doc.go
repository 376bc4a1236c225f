// Package rpc lets programs ask a node: it answers JSON-RPC over HTTP and over
// WebSocket, and holds the client with which karat itself asks.
//
// Its one idea is to speak a language that programs know already. Names,
// parameters, results, error codes and messages are Bitcoin Core's, notifications
// are btcd's, so that wallets, explorers and miners made for those work unchanged.
// Where an answer differs, the comment of its method says why, and docs/rpc.md
// lists it. Tests hold the rest against answers that Core gave.
//
// A method is a row of a table and a function in two steps: the first reads the
// parameters, the second does the work.
//
//	{name: "getblockhash", about: "…", read: getBlockHash, params: []param{
//		{name: "height", kind: kindNumber, about: "The height"}}}
//
//	func getBlockHash(s *Server, a *args) work {
//		height := a.integer(0, 0)
//		return func(context.Context) (any, error) {
//			… // what is asked for, or a failf(CodeInvalidParam, "…")
//		}
//	}
//
// args remembers the first parameter that is wrong, and no work begins after one.
// So a method neither checks each read nor can forget to.
//
// A server exists before its node is ready, and tells clients so (-28):
//
//	s := rpc.NewServer(options) // the parts of the node, behind interfaces
//	go s.Run(ctx, listener)
//	s.Ready()
//
//	c := rpc.NewCookieClient("http://127.0.0.1:19554", cookieFile)
//	var height uint32
//	err := c.Call(ctx, "getblockcount", &height)
//
// Its duties: nobody without a password is let in (auth.go); what a client can cost
// is bounded in bytes, time and calls at once (server.go, ws.go); every call has one
// answer, whatever goes wrong in it (dispatch.go). It decides nothing: it asks the
// parts of the node that interfaces.go names, and writes down what they say.
package rpc
