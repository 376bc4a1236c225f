//go:build !amd64 || purego

package sha256d

// ways has no other way without assembly.
func ways() []way { return []way{portable} }
