// Package echo is the smallest workload: what comes in goes out.
//
// In plain mode the server sends back every byte. With Config.DiskFile it
// speaks frames instead, so that a chosen share of the requests has to read
// from disk past the page cache (the experiment blocking-curve):
//
//	request, 16 bytes, little endian:
//	  0  u8   kind: 0 echo, 1 read a block from disk first
//	  1  u8   zero
//	  2  u16  zero
//	  4  u32  tag, the client's
//	  8  u32  block: the number of the 4096-byte block to read (kind 1), modulo the file's
//	  12 u32  anything
//	answer, 16 bytes: the request with, for kind 1, the CRC-32 (IEEE) of the
//	block at 12, or 0xffffffff and the errno at 8 if reading failed.
//
// Answers to requests of one connection come in any order; the tag tells which.
// A kind above 1 ends the connection.
package echo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

const (
	// FrameBytes is the length of a request and of an answer.
	FrameBytes = 16
	// BlockBytes is the unit of reading from disk, aligned as O_DIRECT wants.
	BlockBytes = 4096

	kindEcho = 0
	kindDisk = 1
)

var errKind = errors.New("echo: request of unknown kind")

// Config is the server's.
type Config struct {
	// DiskFile is read by requests of kind 1; empty: plain mode.
	DiskFile string
	// Handicap is of the plain mode only.
	Handicap Handicap
}

// Check says what is wrong with the settings, or nil.
func (cfg Config) Check() error {
	if cfg.DiskFile != "" && cfg.Handicap != (Handicap{}) {
		return errors.New("echo: a handicap is for the plain mode, without a file to read from")
	}
	return cfg.Handicap.Check()
}

// NewApp makes the App of one shard.
func (cfg Config) NewApp(s *runtime.Shard) (runtime.App, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	switch {
	case cfg.Handicap.active():
		return newHandicapped(cfg.Handicap, s), nil
	case cfg.DiskFile == "":
		return plain{}, nil
	}
	// O_DIRECT reads past the page cache: each of them waits for the device.
	fd, err := unix.Open(cfg.DiskFile, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("echo: cannot open %q with O_DIRECT (the file system must support it): %w", cfg.DiskFile, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size < BlockBytes {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("echo: %q has %d bytes, want at least %d (error: %v)", cfg.DiskFile, st.Size, BlockBytes, err)
	}
	return &framed{fd: fd, blocks: uint32(st.Size / BlockBytes)}, nil
}

type plain struct{}

func (plain) Opened(*runtime.Conn)        {}
func (plain) Closed(*runtime.Conn, error) {}
func (plain) Data(c *runtime.Conn, p []byte) int {
	// A failed write ends the connection, which Closed is told of.
	_ = c.Write(p)
	return len(p)
}

// framed is the server that reads from disk on request.
type framed struct {
	fd     int
	blocks uint32
	free   *read
}

// read is one request that waits for the disk, kept for reuse.
type read struct {
	y     *runtime.Syslet
	buf   []byte
	conn  runtime.ConnID
	frame [FrameBytes]byte
	next  *read
}

func (f *framed) Opened(*runtime.Conn)        {}
func (f *framed) Closed(*runtime.Conn, error) {}

// Stop releases the file; nothing is in flight from connections any more.
func (f *framed) Stop(*runtime.Shard) { _ = unix.Close(f.fd) }

func (f *framed) Data(c *runtime.Conn, p []byte) (consumed int) {
	for ; len(p)-consumed >= FrameBytes; consumed += FrameBytes {
		frame := p[consumed : consumed+FrameBytes]
		switch frame[0] {
		case kindEcho:
			_ = c.Write(frame)
		case kindDisk:
			f.read(c, frame)
		default:
			c.CloseWith(errKind)
			return len(p)
		}
	}
	return consumed
}

func (f *framed) read(c *runtime.Conn, frame []byte) {
	r := f.take()
	r.conn = c.ID()
	copy(r.frame[:], frame)
	r.y.Regs[0] = int64(binary.LittleEndian.Uint32(frame[8:])%f.blocks) * BlockBytes
	switch c.Shard().Submit(r.y) {
	case runtime.Completed:
		f.done(c.Shard(), r)
	case runtime.Busy:
		f.answer(c, r, -int64(unix.EBUSY))
		f.put(r)
	}
}

func (f *framed) done(s *runtime.Shard, r *read) {
	if c := s.Conn(r.conn); c != nil {
		f.answer(c, r, r.y.Result())
	}
	f.put(r)
}

func (f *framed) answer(c *runtime.Conn, r *read, res int64) {
	sum := uint32(0xffffffff)
	if res == BlockBytes {
		sum = crc32.ChecksumIEEE(r.buf)
	} else {
		binary.LittleEndian.PutUint32(r.frame[8:], uint32(-res))
	}
	binary.LittleEndian.PutUint32(r.frame[12:], sum)
	_ = c.Write(r.frame[:])
}

func (f *framed) take() *read {
	if r := f.free; r != nil {
		f.free, r.next = r.next, nil
		return r
	}
	r := &read{buf: alignedBlock()}
	r.y = runtime.NewSyslet(runtime.Pread(runtime.Imm(int64(f.fd)), r.buf, runtime.Reg(0)).With(runtime.Direct))
	r.y.Done = func(s *runtime.Shard, _ *runtime.Syslet) { f.done(s, r) }
	return r
}

func (f *framed) put(r *read) { r.next, f.free = f.free, r }

// alignedBlock is BlockBytes of memory at a multiple of BlockBytes.
func alignedBlock() []byte {
	b := make([]byte, 2*BlockBytes)
	off := BlockBytes - int(uintptr(unsafe.Pointer(&b[0]))%BlockBytes)
	return b[off : off+BlockBytes : off+BlockBytes]
}
