//go:build purego

package sha256d

// ways are those without any assembly: the library's is the same code, but does more.
func ways() []way { return []way{portable, library} }
