package store

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// loadJob is one reading of a player's file: open, statx, pread, close. It is kept for reuse.
type loadJob struct {
	y    runtime.Syslet
	ops  [4]runtime.Op
	buf  [FileSize]byte
	stat unix.Statx_t
	path []byte
	name string
	st   *Store
	done func(r *Record, err error)
	next *loadJob
}

// Registers of the program.
const (
	loadFd = iota
	loadStat
	loadRead
	loadClose
)

// Load reads a player's file and calls done, once, on the shard: at once if the
// file's pages are cached, otherwise later. The error wraps ErrNotFound, ErrCorrupt,
// ErrBusy or an errno. The record is done's to keep.
func (st *Store) Load(s *runtime.Shard, name string, done func(r *Record, err error)) {
	st.Counts.Loads++
	j := st.takeLoad()
	j.name, j.done = name, done
	j.path = st.appendPath(j.path[:0], name, fileEnding)
	j.program()
	for i := range j.y.Regs {
		j.y.Regs[i] = -int64(unix.ECANCELED) // what was not reached has not happened
	}
	ended, busy := run(s, &j.y)
	if busy {
		j.end(nil, ErrBusy)
	} else if ended {
		j.finish()
	}
}

// program writes the ops. After the open nothing stops: whatever fails, the file
// is closed, and the registers tell.
func (j *loadJob) program() {
	fd := runtime.Reg(loadFd)
	j.ops = [...]runtime.Op{
		runtime.Openat(runtime.AtCwd, j.path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0).To(loadFd).With(runtime.StopOnNegative),
		runtime.Statx(fd, nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE|unix.STATX_TYPE, &j.stat).To(loadStat),
		runtime.Pread(fd, j.buf[:], runtime.Imm(0)).To(loadRead),
		runtime.Close(fd).To(loadClose),
	}
}

// finish looks at what the program left.
func (j *loadJob) finish() {
	r := &j.y.Regs
	switch {
	case r[loadFd] == -int64(unix.ENOENT):
		j.end(nil, ErrNotFound)
	case r[loadFd] < 0:
		j.end(nil, callError("open", r[loadFd], j.path))
	case r[loadStat] < 0:
		j.end(nil, callError("statx", r[loadStat], j.path))
	case r[loadRead] < 0:
		j.end(nil, callError("read", r[loadRead], j.path))
	case j.stat.Size != FileSize:
		j.corrupt(fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, j.stat.Size, FileSize))
	default:
		j.decode(j.buf[:r[loadRead]])
	}
}

func (j *loadJob) decode(p []byte) {
	rec := &Record{}
	if err := rec.Decode(p); err != nil {
		j.corrupt(err)
		return
	}
	if rec.Name != j.name {
		j.corrupt(fmt.Errorf("%w: it is of player %q", ErrCorrupt, rec.Name))
		return
	}
	j.end(rec, nil)
}

func (j *loadJob) corrupt(err error) {
	j.st.Counts.LoadsCorrupt++
	j.end(nil, fmt.Errorf("%w: %s", err, j.path[:len(j.path)-1]))
}

func (j *loadJob) end(r *Record, err error) {
	done := j.done
	if err != nil && err != ErrNotFound {
		j.st.Counts.LoadErrors++
	}
	j.done, j.name = nil, ""
	j.next, j.st.loads = j.st.loads, j
	done(r, err)
}

func (st *Store) takeLoad() *loadJob {
	j := st.loads
	if j != nil {
		st.loads, j.next = j.next, nil
		return j
	}
	j = &loadJob{st: st}
	j.y.Ops = j.ops[:]
	j.y.Done = func(*runtime.Shard, *runtime.Syslet) { j.finish() }
	return j
}
