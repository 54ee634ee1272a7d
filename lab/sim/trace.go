package sim

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A trace in a file, all integers little endian:
//
//	0   8 bytes  "SYSLTRC" and the version, 1
//	8   u32      connections, 1 to 65535
//	12  u32      steps, 1 to 1<<22
//	16  u64      seed of the clients
//	24  u8       length of the workload's name, and the name
//	    steps:   u16 connection, u32 bytes sent, u32 bytes of the answer, the bytes sent
//	    u32      CRC-32 (IEEE) of all before it
const (
	traceMagic   = "SYSLTRC"
	traceVersion = 1
	mostConns    = 1<<16 - 1
	mostSteps    = 1 << 22
	// mostStepBytes bounds what one step sends or gets.
	mostStepBytes = 1 << 24
)

// Trace is what clients send, in order, and how long the answers are.
type Trace struct {
	Workload string
	Seed     uint64
	// Conns are the connections: each is open before the first step.
	Conns int
	Steps []Step
}

// Step is one request: the next is sent when its answer is here.
type Step struct {
	Conn int
	Send []byte
	// Answer is the length of the answer in bytes, at least 1.
	Answer int
}

var errTrace = errors.New("sim: bad trace")

// WriteTo writes the trace as a file. It is an io.WriterTo.
func (t *Trace) WriteTo(w io.Writer) (int64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	b := append([]byte(traceMagic), traceVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Conns))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Steps)))
	b = binary.LittleEndian.AppendUint64(b, t.Seed)
	b = append(append(b, byte(len(t.Workload))), t.Workload...)
	for i := range t.Steps {
		s := &t.Steps[i]
		b = binary.LittleEndian.AppendUint16(b, uint16(s.Conn))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Send)))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Answer))
		b = append(b, s.Send...)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	n, err := w.Write(b)
	return int64(n), err
}

func (t *Trace) check() error {
	switch {
	case t.Conns < 1 || t.Conns > mostConns:
		return fmt.Errorf("%w: %d connections, want 1 to %d", errTrace, t.Conns, mostConns)
	case len(t.Steps) < 1 || len(t.Steps) > mostSteps:
		return fmt.Errorf("%w: %d steps, want 1 to %d", errTrace, len(t.Steps), mostSteps)
	case len(t.Workload) > 255:
		return fmt.Errorf("%w: the workload's name has %d bytes, want at most 255", errTrace, len(t.Workload))
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Conn < 0 || s.Conn >= t.Conns {
			return fmt.Errorf("%w: step %d is on connection %d of %d", errTrace, i, s.Conn, t.Conns)
		}
		if len(s.Send) < 1 || len(s.Send) > mostStepBytes || s.Answer < 1 || s.Answer > mostStepBytes {
			return fmt.Errorf("%w: step %d sends %d bytes and gets %d, want 1 to %d", errTrace, i, len(s.Send), s.Answer, mostStepBytes)
		}
	}
	return nil
}

// summed is what was read, with its checksum.
type summed struct {
	r   *bufio.Reader
	crc uint32
	at  int64
}

func (s *summed) take(p []byte) error {
	n, err := io.ReadFull(s.r, p)
	s.crc = crc32.Update(s.crc, crc32.IEEETable, p[:n])
	s.at += int64(n)
	if err != nil {
		return fmt.Errorf("%w: it ends at byte %d: %w", errTrace, s.at, io.ErrUnexpectedEOF)
	}
	return nil
}

// ReadTrace reads what WriteTo wrote, and nothing else.
func ReadTrace(r io.Reader) (*Trace, error) {
	s := &summed{r: bufio.NewReader(r)}
	var head [25]byte
	if err := s.take(head[:]); err != nil {
		return nil, err
	}
	if string(head[:7]) != traceMagic || head[7] != traceVersion {
		return nil, fmt.Errorf("%w: it begins with %q, want %q and version %d", errTrace, head[:8], traceMagic, traceVersion)
	}
	steps := binary.LittleEndian.Uint32(head[12:])
	if steps > mostSteps {
		return nil, fmt.Errorf("%w: %d steps, want 1 to %d", errTrace, steps, mostSteps)
	}
	t := &Trace{Conns: int(binary.LittleEndian.Uint32(head[8:])), Seed: binary.LittleEndian.Uint64(head[16:])}
	name := make([]byte, head[24])
	if err := s.take(name); err != nil {
		return nil, err
	}
	t.Workload = string(name)
	for range steps {
		step, err := s.step()
		if err != nil {
			return nil, err
		}
		t.Steps = append(t.Steps, step)
	}
	want := s.crc
	var sum [4]byte
	if err := s.take(sum[:]); err != nil {
		return nil, err
	}
	if got := binary.LittleEndian.Uint32(sum[:]); got != want {
		return nil, fmt.Errorf("%w: checksum %08x, want %08x", errTrace, got, want)
	}
	if _, err := s.r.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("%w: bytes behind its end at %d", errTrace, s.at)
	}
	return t, t.check()
}

func (s *summed) step() (Step, error) {
	var head [10]byte
	if err := s.take(head[:]); err != nil {
		return Step{}, err
	}
	n := binary.LittleEndian.Uint32(head[2:])
	if n > mostStepBytes {
		return Step{}, fmt.Errorf("%w: a step of %d bytes at byte %d, want 1 to %d", errTrace, n, s.at, mostStepBytes)
	}
	// A length that lies must not take memory that the file does not have.
	send, err := io.ReadAll(io.LimitReader(s.r, int64(n)))
	s.crc = crc32.Update(s.crc, crc32.IEEETable, send)
	s.at += int64(len(send))
	if err == nil && len(send) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Step{}, fmt.Errorf("%w: it ends at byte %d: %w", errTrace, s.at, err)
	}
	return Step{Conn: int(binary.LittleEndian.Uint16(head[:])), Send: send, Answer: int(binary.LittleEndian.Uint32(head[6:]))}, nil
}
