package store

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/syslet/syslet/workloads/game/proto"
)

// Record is what a player's file holds.
type Record struct {
	Name  string // Invariant: proto.ValidName
	Map   string // the map's name, at most MaxMap bytes: an index would not survive a change of the datapack
	X, Y  uint8
	Moves uint64
	Chats uint32
	Heard uint32   // lines that were said to this player in private
	Salt  [16]byte // random, of this player
	Sum   [32]byte // SHA-256 of Salt and the token
}

// The file, version 1, numbers little endian:
//
//	@0 "SYPL"  @4 u16 version  @6 u16 size  @8 u8 length of name  @9 u8 length of map  @10 u8 x  @11 u8 y
//	@12 u32 chats  @16 u64 moves  @24 u32 heard  @28 u32 zero  @32 salt  @48 sum  @80 name  @104 map
//	@136 u32 zero  @140 u32 CRC-32C of all before
const (
	// FileSize is the size of every player's file in bytes: far below a page.
	FileSize = 144
	// MaxMap bounds a map's name.
	MaxMap = 32

	version = 1
	magic   = "SYPL"
	crcAt   = FileSize - 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt is wrapped by what Decode returns.
var ErrCorrupt = errors.New("store: damaged player file")

// Encode fills p, FileSize bytes, with the record. It allocates nothing.
func (r *Record) Encode(p []byte) {
	p = p[:FileSize]
	clear(p)
	le := binary.LittleEndian
	copy(p, magic)
	le.PutUint16(p[4:], version)
	le.PutUint16(p[6:], FileSize)
	p[8], p[9], p[10], p[11] = byte(len(r.Name)), byte(len(r.Map)), r.X, r.Y
	le.PutUint32(p[12:], r.Chats)
	le.PutUint64(p[16:], r.Moves)
	le.PutUint32(p[24:], r.Heard)
	copy(p[32:48], r.Salt[:])
	copy(p[48:80], r.Sum[:])
	copy(p[80:104], r.Name)
	copy(p[104:136], r.Map)
	le.PutUint32(p[crcAt:], crc32.Checksum(p[:crcAt], castagnoli))
}

// Decode reads a file's content into r, or says what is wrong with it.
func (r *Record) Decode(p []byte) error {
	le := binary.LittleEndian
	switch {
	case len(p) != FileSize:
		return fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(p), FileSize)
	case string(p[:4]) != magic:
		return fmt.Errorf("%w: it does not begin with %q", ErrCorrupt, magic)
	case le.Uint32(p[crcAt:]) != crc32.Checksum(p[:crcAt], castagnoli):
		return fmt.Errorf("%w: checksum %08x, want %08x", ErrCorrupt, le.Uint32(p[crcAt:]), crc32.Checksum(p[:crcAt], castagnoli))
	case le.Uint16(p[4:]) != version || le.Uint16(p[6:]) != FileSize:
		return fmt.Errorf("%w: version %d of %d bytes, want %d of %d", ErrCorrupt, le.Uint16(p[4:]), le.Uint16(p[6:]), version, FileSize)
	case p[8] > proto.MaxName || p[9] > MaxMap:
		return fmt.Errorf("%w: names of %d and %d bytes", ErrCorrupt, p[8], p[9])
	}
	*r = Record{
		Name: string(p[80 : 80+int(p[8])]), Map: string(p[104 : 104+int(p[9])]), X: p[10], Y: p[11],
		Chats: le.Uint32(p[12:]), Moves: le.Uint64(p[16:]), Heard: le.Uint32(p[24:]),
	}
	copy(r.Salt[:], p[32:48])
	copy(r.Sum[:], p[48:80])
	return nil
}

// SetToken makes token the one that CheckToken accepts.
func (r *Record) SetToken(token []byte) {
	rand.Read(r.Salt[:]) // cannot fail (crypto/rand, Go 1.24)
	r.Sum = saltedSum(&r.Salt, token)
}

// CheckToken reports whether token is the player's, in a time that does not depend
// on how much of it is right.
func (r *Record) CheckToken(token []byte) bool {
	sum := saltedSum(&r.Salt, token)
	return subtle.ConstantTimeCompare(sum[:], r.Sum[:]) == 1
}

func saltedSum(salt *[16]byte, token []byte) [32]byte {
	var buf [16 + proto.MaxToken]byte
	n := copy(buf[:], salt[:])
	n += copy(buf[n:], token)
	return sha256.Sum256(buf[:n])
}
