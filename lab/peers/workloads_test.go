package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const testBlocks = 8

func itoa(n int) string { return strconv.Itoa(n) }

func block(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, blockBytes) }

// diskFile makes a file of testBlocks blocks, or skips where O_DIRECT is missing.
func diskFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	var all []byte
	for i := range testBlocks {
		all = append(all, block(i)...)
	}
	require.NoError(t, os.WriteFile(path, all, 0o644))
	d, err := openDisk(path)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("the temporary folder's file system has no O_DIRECT")
	}
	require.NoError(t, err)
	require.NoError(t, unix.Close(d.fd))
	return path
}

func request(kind byte, tag, blockNumber uint32) []byte {
	f := make([]byte, frameBytes)
	f[0] = kind
	binary.LittleEndian.PutUint32(f[4:], tag)
	binary.LittleEndian.PutUint32(f[8:], blockNumber)
	return f
}

// wanted is the answer to a request.
func wanted(req []byte) []byte {
	f := bytes.Clone(req)
	if f[0] == kindDisk {
		b := binary.LittleEndian.Uint32(f[8:]) % testBlocks
		binary.LittleEndian.PutUint32(f[12:], crc32.ChecksumIEEE(block(int(b))))
	}
	return f
}

func message(size int, tag uint32) []byte {
	m := bytes.Repeat([]byte{byte(tag)}, size)
	binary.LittleEndian.PutUint32(m, uint32(size))
	binary.LittleEndian.PutUint32(m[4:], tag)
	return m
}

func TestEcho(t *testing.T) {
	forEngines(t, "echo", func(t *testing.T, s *server) {
		c := s.dial()
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB in one go
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Write(big) })
		receive(t, c, big)
		wg.Wait()
		// Half closed when all is answered: the server ends it.
		require.NoError(t, c.CloseWrite())
		ended(t, c)
		s.end()
	})
}

func Test200Connections(t *testing.T) {
	forEngines(t, "echo", func(t *testing.T, s *server) {
		var wg sync.WaitGroup
		for i := range 200 {
			c := s.dial()
			wg.Go(func() {
				for k := range 20 {
					p := message(16+i, uint32(k))
					if _, err := c.Write(p); err != nil {
						t.Error(err)
						return
					}
					got := make([]byte, len(p))
					if err := readFull(c, got); err != nil || !bytes.Equal(p, got) {
						t.Errorf("connection %d, frame %d: %v", i, k, err)
						return
					}
				}
			})
		}
		wg.Wait()
		s.end()
	})
}

func TestHalfClosedBeforeTheAnswer(t *testing.T) {
	forEngines(t, "echo", func(t *testing.T, s *server) {
		if s.engine == "netpoll" {
			t.Skip("netpoll v0.7.2 may close before it answers (its issue 304)")
		}
		c := s.dial()
		p := message(1000, 1)
		_, err := c.Write(p)
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		receive(t, c, p)
		ended(t, c)
		s.end()
	})
}

func TestFramed(t *testing.T) {
	forEngines(t, "framed", func(t *testing.T, s *server) {
		c := s.dial()
		var out []byte
		want := map[uint32][]byte{}
		for tag := range uint32(300) {
			r := request(byte(tag%3%2), tag, tag*7)
			out = append(out, r...)
			want[tag] = wanted(r)
		}
		// A frame in three pieces, then many in one write with a piece at the end.
		for _, piece := range [][]byte{out[:5], out[5:15], out[15:4000], out[4000:]} {
			_, err := c.Write(piece)
			require.NoError(t, err)
		}
		for range len(want) {
			got := make([]byte, frameBytes)
			require.NoError(t, readFull(c, got))
			tag := binary.LittleEndian.Uint32(got[4:])
			require.Equal(t, want[tag], got)
			delete(want, tag)
		}
		require.Empty(t, want)
		_, err := c.Write(request(2, 0, 0))
		require.NoError(t, err)
		ended(t, c)
		s.end()
	})
}

// enter opens connections, each of which sends a message that it and all before it get.
func enter(t *testing.T, s *server, n int) []*net.TCPConn {
	t.Helper()
	var conns []*net.TCPConn
	for i := range n {
		conns = append(conns, s.dial())
		m := message(16+i, uint32(i))
		_, err := conns[i].Write(m)
		require.NoError(t, err)
		for _, to := range conns {
			receive(t, to, m)
		}
	}
	return conns
}

func TestFanout(t *testing.T) {
	forEngines(t, "fanout", func(t *testing.T, s *server) {
		conns := enter(t, s, 20)
		var out []byte
		for k := range 50 {
			out = append(out, message(16+k*100, uint32(k))...)
		}
		out = append(out, message(maxMessageBytes, 99)...)
		for _, piece := range [][]byte{out[:3], out[3:12], out[12:70000], out[70000:]} {
			_, err := conns[3].Write(piece)
			require.NoError(t, err)
		}
		for _, to := range conns {
			receive(t, to, out)
		}
		// Who breaks the protocol is closed, nobody else.
		for i, length := range []uint32{0, 15, maxMessageBytes + 1} {
			m := message(16, 1)
			binary.LittleEndian.PutUint32(m, length)
			_, err := conns[i].Write(m)
			require.NoError(t, err)
			ended(t, conns[i])
		}
		m := message(500, 7)
		_, err := conns[19].Write(m)
		require.NoError(t, err)
		for _, to := range conns[3:] {
			receive(t, to, m)
		}
		s.end()
	})
}

// A receiver that does not read holds up nobody, and is ended when too much waits.
func TestFanoutSlowReceiver(t *testing.T) {
	forEngines(t, "fanout", func(t *testing.T, s *server) {
		conns := enter(t, s, 3)
		slow, fast, sender := conns[0], conns[1], conns[2]
		// Before its socket buffers and maxUnsentBytes are full for certain.
		const messages = 400
		var stream []byte
		for k := range messages {
			m := message(maxMessageBytes, uint32(k))
			_, err := sender.Write(m)
			require.NoError(t, err)
			receive(t, sender, m)
			receive(t, fast, m)
			stream = append(stream, m...)
		}
		got, buf := 0, make([]byte, maxMessageBytes)
		for {
			n, err := slow.Read(buf)
			require.True(t, bytes.Equal(stream[got:got+n], buf[:n]), "what arrives is a prefix of the stream")
			got += n
			if err != nil {
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
				break
			}
		}
		require.Less(t, got, len(stream))
		s.end()
	})
}

func TestAcceptedSocketsHaveNoDelay(t *testing.T) {
	forEngines(t, "echo", func(t *testing.T, s *server) {
		c := s.dial()
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		receive(t, c, []byte("x"))
		pidfd, err := unix.PidfdOpen(s.pid, 0)
		require.NoError(t, err)
		defer unix.Close(pidfd)
		found := false
		for target := range 200 {
			fd, err := unix.PidfdGetfd(pidfd, target, 0)
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
				t.Skipf("the kernel does not give a child's descriptors: %v", err)
			}
			if err != nil {
				continue
			}
			if peerIs(fd, c.LocalAddr().(*net.TCPAddr).Port) {
				on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
				require.NoError(t, err)
				require.NotZero(t, on)
				found = true
			}
			require.NoError(t, unix.Close(fd))
		}
		require.True(t, found)
		s.end()
	})
}

func peerIs(fd, port int) bool {
	sa, err := unix.Getpeername(fd)
	a, ok := sa.(*unix.SockaddrInet4)
	return err == nil && ok && a.Port == port
}

func readFull(c interface{ Read([]byte) (int, error) }, p []byte) error {
	for len(p) > 0 {
		n, err := c.Read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
