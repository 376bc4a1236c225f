// Package clients runs programs that were written for Bitcoin Core and btcd
// against a karat node, unmodified.
package clients
