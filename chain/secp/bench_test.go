package secp

import (
	"fmt"
	"testing"
)

// paths runs f with all assembly that the processor has, without that of AVX-512,
// and without any.
func paths(b *testing.B, f func(b *testing.B)) {
	defer func(ifma, bmi2 bool) { useIFMA, useBMI2 = ifma, bmi2 }(useIFMA, useBMI2)
	if useIFMA {
		b.Run("ifma", f)
	}
	useIFMA = false
	if useBMI2 {
		b.Run("bmi2", f)
	}
	useBMI2 = false
	b.Run("portable", f)
}

func BenchmarkFieldMul(b *testing.B) {
	paths(b, func(b *testing.B) {
		x, y := generator.x, generator.y
		for range b.N {
			x.mul(&x, &y)
		}
	})
}

func BenchmarkFieldMul4(b *testing.B) {
	paths(b, func(b *testing.B) {
		x, y := field4{generator.x, generator.y, generator.x, generator.y}, field4One
		for range b.N {
			x.mul(&x, &y)
		}
	})
}

func BenchmarkFieldSquare(b *testing.B) {
	paths(b, func(b *testing.B) {
		x := generator.x
		for range b.N {
			x.sqr(&x)
		}
	})
}

func BenchmarkFieldSqrt(b *testing.B) {
	paths(b, func(b *testing.B) {
		x, y := generator.x, field{}
		for range b.N {
			y.sqrt(&x)
		}
	})
}

func BenchmarkFieldSqrt4(b *testing.B) {
	paths(b, func(b *testing.B) {
		x, y := field4{generator.x, generator.y, generator.x, generator.y}, field4{}
		for range b.N {
			y.sqrt(&x, 4)
		}
	})
}

func BenchmarkScalarMul(b *testing.B) {
	x, y := scalar(generator.x), scalar(generator.y)
	for range b.N {
		x.mul(&x, &y)
	}
}

func BenchmarkScalarSplit(b *testing.B) {
	x := scalar(generator.x)
	for range b.N {
		k, _ := x.split()
		x[0] ^= k.lo
	}
}

func BenchmarkVerify(b *testing.B) {
	s := &signed(1, 1)[0]
	paths(b, func(b *testing.B) {
		for range b.N {
			if !Verify(&s.key, s.msg[:], &s.sig) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkVerifyTweak(b *testing.B) {
	c := &tweaked(1)[0]
	for range b.N {
		if !VerifyTweak(&c.output, c.parity, &c.internal, &c.tweak) {
			b.Fatal("refused")
		}
	}
}

func benchmarkBatch(b *testing.B, keys int) {
	for _, n := range []int{16, 64, 256, 1024, 4096} {
		sigs := signed(n, min(n, keys))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			paths(b, func(b *testing.B) {
				var batch Batch
				for i := -1; i < b.N; i++ {
					if i == 0 {
						b.ResetTimer() // the first round only grows the scratch
					}
					batch.Reset()
					for i := range sigs {
						batch.AddSignature(&sigs[i].key, &sigs[i].msg, &sigs[i].sig)
					}
					if !batch.sumsUp(batch.claims) {
						b.Fatal("refused")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/sig")
			})
		})
	}
}

func BenchmarkBatch(b *testing.B)       { benchmarkBatch(b, 1<<20) }
func BenchmarkBatch64Keys(b *testing.B) { benchmarkBatch(b, 64) }

func BenchmarkBatchTweaks(b *testing.B) {
	for _, n := range []int{64, 1024} {
		claims := tweaked(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var batch Batch
			for range b.N {
				batch.Reset()
				for i := range claims {
					c := &claims[i]
					batch.AddTweak(&c.output, c.parity, &c.internal, &c.tweak)
				}
				if !batch.sumsUp(batch.claims) {
					b.Fatal("refused")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/claim")
		})
	}
}
