// Package padding has the bytes that scripted clients put behind a header, so
// that frames can have any size and a copy that comes back can be checked for the
// price of a comparison.
package padding

import "math/rand/v2"

const (
	// Max is the longest padding that Of gives.
	Max = 64 << 10
	// keys is the number of paddings of a length that differ.
	keys = 256
)

// noise has no period, so that bytes which come back shifted or from another
// frame are noticed.
var noise = func() []byte {
	b := make([]byte, Max+keys)
	rng := rand.NewChaCha8([32]byte{'p', 'a', 'd'})
	_, _ = rng.Read(b) // never fails
	return b
}()

// Of gives n <= Max bytes, which must not be changed; other ones for each of 256
// neighbouring keys.
func Of(n int, key uint32) []byte {
	at := int(key % keys)
	return noise[at : at+n : at+n]
}
