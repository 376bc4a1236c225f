//go:build !purego

package sha256d

import "golang.org/x/sys/cpu"

//go:noescape
func scanAVX512(t *table, nonce, target uint32, batches int) (done int, hits uint32)

//go:noescape
func scanAVX2(t *table, nonce, target uint32, batches int) (done int, hits uint32)

//go:noescape
func scanSHA(t *table, nonce, target uint32, batches int) (done int, hits uint32)

func cpuid(leaf, subleaf uint32) (a, b uint32)

// hasSHA reports whether there are SHA extensions, of which the package cpu does not
// tell, and what else scanSHA needs.
func hasSHA() bool {
	last, _ := cpuid(0, 0)
	if last < 7 || !cpu.X86.HasSSSE3 || !cpu.X86.HasSSE41 {
		return false
	}
	_, features := cpuid(7, 0)
	return features>>29&1 != 0
}

// ways are those that this processor has, the fastest first. The package cpu sets its
// flags only if the system keeps the wide registers for us too. The library is faster
// than portable only by what the others have.
func ways() (all []way) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW {
		all = append(all, way{"AVX-512", 32, scanAVX512})
	}
	if hasSHA() {
		all = append(all, way{"SHA extensions", 2, scanSHA})
	}
	if cpu.X86.HasAVX2 {
		all = append(all, way{"AVX2", 8, scanAVX2})
	}
	return append(all, portable, library)
}
