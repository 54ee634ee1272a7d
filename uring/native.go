//go:build linux

package uring

import "encoding/binary"

// bigEndian is the machine's byte order.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// halves packs two 16-bit fields that lie side by side, lower address first, into
// the 32-bit word that covers them.
func halves(first, second uint16) uint32 {
	if bigEndian {
		return uint32(first)<<16 | uint32(second)
	}
	return uint32(first) | uint32(second)<<16
}
