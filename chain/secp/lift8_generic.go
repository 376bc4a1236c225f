package secp

// useIFMA is there for the tests only, like useADX.
const useIFMA = false

// liftEight is never called where useIFMA is false.
func liftEight([]affine) bool { return false }
