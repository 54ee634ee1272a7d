package fileserver

import (
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// lookup is the syslet that finds out about a path, and who waits for it. The
// program opens the file, asks what it is, and reads the first bytes: all of it, if
// it is one to be kept in memory.
type lookup struct {
	y       *runtime.Syslet
	key     string
	path    []byte // for the kernel, relative to the root
	st      unix.Statx_t
	buf     []byte
	startNs int64
	tries   int
	waiters []runtime.ConnID
	next    *lookup // free list
}

const (
	openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY // a FIFO is not waited for
	statMask  = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_MTIME | unix.STATX_CTIME
	// triesMax bounds the lookups of a path that others rename meanwhile.
	triesMax = 4

	opOpen, opStat, opRead = 0, 1, 2
)

// lookUp finds out about path. done is false if c waits: then its request is read
// again. e is held; nil, if done: too much is going on.
func (v *server) lookUp(c *runtime.Conn, path []byte) (e *entry, done bool) {
	if l := v.lookups[string(path)]; l != nil {
		v.wait(c, l)
		return nil, false
	}
	l := v.takeLookup()
	l.key, l.startNs, l.tries = string(path), v.shard.NowNs(), 1
	l.path = append(l.path[:0], path[1:]...)
	if path[len(path)-1] == '/' {
		l.path = append(l.path, v.cfg.Index...)
	}
	l.path = append(l.path, 0)
	l.y.Ops[opOpen].Path = l.path
	switch v.shard.Submit(l.y) {
	case runtime.Busy:
		v.putLookup(l)
		return nil, true
	case runtime.Queued:
		v.inFlight++
		v.lookups[l.key] = l
		v.wait(c, l)
		return nil, false
	}
	e = v.learn(l)
	v.putLookup(l)
	return e, true
}

func (v *server) wait(c *runtime.Conn, l *lookup) {
	v.session(c).waiting = true
	l.waiters = append(l.waiters, c.ID())
}

func (v *server) takeLookup() *lookup {
	if l := v.free; l != nil {
		v.free, l.next = l.next, nil
		return l
	}
	l := &lookup{buf: make([]byte, v.cfg.InMemory)}
	fd := runtime.Reg(0)
	l.y = runtime.NewSyslet(
		runtime.Openat(runtime.Imm(int64(v.root)), []byte{0}, openFlags, 0).Resolve(beneath).To(0).With(runtime.StopOnNegative),
		runtime.Statx(fd, nil, unix.AT_EMPTY_PATH, statMask, &l.st).With(runtime.StopOnNegative),
		runtime.Pread(fd, l.buf, runtime.Imm(0)))
	l.y.Done = func(*runtime.Shard, *runtime.Syslet) { v.lookedUp(l) }
	return l
}

func (v *server) putLookup(l *lookup) {
	l.waiters = l.waiters[:0]
	l.next, v.free = v.free, l
}

// lookedUp gives those who waited what was found.
func (v *server) lookedUp(l *lookup) {
	if l.y.Errno() == unix.EAGAIN && l.tries < triesMax && !v.stopped { // the path was changed meanwhile
		l.tries++
		if v.shard.Submit(l.y) == runtime.Queued {
			return
		}
	}
	v.inFlight--
	delete(v.lookups, l.key)
	e := v.learn(l)
	for _, id := range l.waiters {
		c := v.shard.Conn(id)
		if c == nil {
			continue
		}
		x := v.session(c)
		x.waiting, x.have = false, e
		e.holds++
		c.Resume()
		c.Reread()
	}
	e.release()
	v.putLookup(l)
	v.release()
}

// learn makes an entry of what was found, held by the caller.
func (v *server) learn(l *lookup) *entry {
	op, res := l.y.Last()
	fd := int(l.y.Regs[0])
	switch {
	case op == opOpen:
		return v.absent(l, statusOfErrno(unix.Errno(-res)))
	case op == opStat: // stopped there: it failed
		_ = unix.Close(fd)
		return v.absent(l, 500)
	}
	switch folder := l.key[len(l.key)-1] == '/'; l.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		_ = unix.Close(fd)
		if folder { // its index is a folder
			return v.absent(l, 404)
		}
		return v.absent(l, 301)
	default:
		_ = unix.Close(fd)
		return v.absent(l, 403)
	}
	id := identity{dev: uint64(l.st.Dev_major)<<32 | uint64(l.st.Dev_minor), ino: l.st.Ino, size: l.st.Size,
		mtimeNs: l.st.Mtime.Sec*1e9 + int64(l.st.Mtime.Nsec), ctimeNs: l.st.Ctime.Sec*1e9 + int64(l.st.Ctime.Nsec)}
	if e := v.cache.paths[l.key]; e != nil && e.id == id {
		_ = unix.Close(fd)
		e.checkedNs = l.startNs
		e.holds++
		return e
	}
	return v.present(l, fd, id, int(res))
}

// absent is not kept: a file that comes into being is served at once.
func (v *server) absent(l *lookup, status int) *entry {
	if e := v.cache.paths[l.key]; e != nil {
		v.cache.drop(e)
	}
	return &entry{key: l.key, holds: 1, status: status}
}

// present makes the entry of a file, of which read bytes are in the lookup's buffer.
func (v *server) present(l *lookup, fd int, id identity, read int) *entry {
	e := &entry{key: l.key, holds: 1, checkedNs: l.startNs, status: 200, id: id}
	e.kind = typeOf(l.path[:len(l.path)-1])
	if id.size <= uint64(v.cfg.InMemory) && read == int(id.size) {
		_ = unix.Close(fd)
		e.body = runtime.NewBlock(append([]byte(nil), l.buf[:read]...))
	} else {
		e.file = v.shard.NewFile(fd)
	}
	e.etag = appendETag(nil, id)
	v.usual(e)
	v.cache.put(e)
	return e
}

// statusOfErrno is the answer if a file cannot be opened.
func statusOfErrno(e unix.Errno) int {
	switch e {
	case unix.ENOENT, unix.ENOTDIR, unix.ENAMETOOLONG:
		return 404
	case unix.EACCES, unix.EPERM, unix.EXDEV, unix.ELOOP, unix.ENXIO: // EXDEV: it would leave the root
		return 403
	case unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ENOMEM:
		return 503
	}
	return 500
}
