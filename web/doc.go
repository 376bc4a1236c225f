// Package web shows the chain and the pool to people: an explorer and a dashboard, as
// pages that any browser reads, with or without scripts.
//
//	server := web.New(web.Options{Params: params, Headers: chain, Blocks: chain, Pool: pool, …})
//	err := server.Run(ctx, listener)
//
// The one idea is that a page is a pure function of a version: the name of what it shows,
// such as the tip and a position of the pool. It is found before anything is read, so that
// whoever has the page already is told so for nothing, and a page that many want is made
// once. A page of an old block has a version that never changes.
//
// It is meant to be shown to strangers. Nothing that it offers changes anything. What a
// visitor can make the node spend is bounded for each address and for all together: connections,
// requests, bytes, the time of making pages, and what every page has at most of everything.
// All text of the chain is a stranger's: it goes through Printable, and through html/template.
// No page runs or loads anything that is not from here (Content-Security-Policy), and none
// sets a cookie.
//
// The package asks the node through interfaces of its own over pure types, as package rpc
// does, and knows none of those who answer.
package web
