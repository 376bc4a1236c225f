// Package clients runs programs that were written for Bitcoin Core and btcd
// against a karat node, unmodified, and lets the tools of JavaScript people pass files to
// and fro with the wallet.
package clients
