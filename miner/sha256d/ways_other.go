//go:build !amd64 && !purego

package sha256d

// ways are those without assembly of our own. The standard library has some for most
// processors.
func ways() []way { return []way{library, portable} }
