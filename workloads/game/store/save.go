package store

import (
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// saveJob is one replacement of a player's file. It is kept for reuse: a save
// allocates nothing.
type saveJob struct {
	y              runtime.Syslet
	ops            [saveOps]runtime.Op
	buf            [FileSize]byte
	path, tmp, dir []byte
	st             *Store
	player         *Player
	next           *saveJob
}

// The program, by index of op. A step that fails branches to the op that follows
// it in memory, which leads to the way out that fits.
const (
	saveOpen      = iota // create the temporary file; if that fails, end
	saveWrite            //
	saveShort            // written - FileSize: zero unless the write failed or was short
	saveShortExit        //
	saveSync             //
	saveSyncExit         //
	saveClose            //
	saveRename           //
	saveNoRename         // unlink the temporary file, end
	saveOpenDir          // the new name must survive, too: if that fails, end
	saveSyncDir          //
	saveCloseDir         // end
	saveUndo             // close the temporary file
	saveUnlink           // and remove it
	saveOps
)

// Registers of the program.
const (
	regFd = iota
	regWritten
	regShort
	regSync
	regClose
	regRename
	regDir
	regDirSync
)

// start writes the player's record as it is now. It reports false if the shard has
// no room for another operation; otherwise Player.saved is called, now or later.
func (st *Store) start(s *runtime.Shard, p *Player) bool {
	j := st.takeSave()
	j.player = p
	p.Encode(j.buf[:])
	j.path = st.appendPath(j.path[:0], p.Name, fileEnding)
	j.tmp = st.appendPath(j.tmp[:0], p.Name, tempEnding)
	j.dir = append(st.appendDir(j.dir[:0], p.Name), 0)
	j.program()
	for i := range j.y.Regs {
		j.y.Regs[i] = -int64(unix.ECANCELED) // what was not reached has not happened
	}
	ended, busy := run(s, &j.y)
	if busy {
		st.putSave(j)
		return false
	}
	if ended {
		j.finish(s)
	}
	return true
}

func (j *saveJob) program() {
	const create = unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC | unix.O_NOFOLLOW
	const orNext = runtime.StopOnNegative | runtime.SkipToNextOnStop
	fd, dir := runtime.Reg(regFd), runtime.Reg(regDir)
	undo := runtime.Nop(runtime.Imm(0)).Then(runtime.Goto(saveUndo))
	j.ops = [saveOps]runtime.Op{
		saveOpen:  runtime.Openat(runtime.AtCwd, j.tmp, create, 0o644).To(regFd).With(runtime.StopOnNegative),
		saveWrite: runtime.Pwrite(fd, j.buf[:], runtime.Imm(0)).To(regWritten),
		saveShort: runtime.Add(runtime.Reg(regWritten), runtime.Imm(-FileSize)).To(regShort).
			With(runtime.StopOnNonzero | runtime.SkipToNextOnStop).Then(runtime.Goto(saveSync)),
		saveShortExit: undo,
		saveSync:      runtime.Fsync(fd).To(regSync).With(orNext).Then(runtime.Goto(saveClose)),
		saveSyncExit:  undo,
		saveClose:     runtime.Close(fd).To(regClose),
		saveRename: runtime.Renameat(runtime.AtCwd, j.tmp, runtime.AtCwd, j.path, 0).To(regRename).
			With(orNext).Then(runtime.Goto(saveOpenDir)),
		saveNoRename: runtime.Unlinkat(runtime.AtCwd, j.tmp, 0).Then(runtime.End),
		saveOpenDir: runtime.Openat(runtime.AtCwd, j.dir, unix.O_RDONLY|unix.O_DIRECTORY, 0).To(regDir).
			With(runtime.StopOnNegative),
		saveSyncDir:  runtime.Fsync(dir).To(regDirSync),
		saveCloseDir: runtime.Close(dir).Then(runtime.End),
		saveUndo:     runtime.Close(fd),
		saveUnlink:   runtime.Unlinkat(runtime.AtCwd, j.tmp, 0).Then(runtime.End),
	}
}

// failure is nil if the whole program did its work.
func (j *saveJob) failure() error {
	r := &j.y.Regs
	switch {
	case r[regDirSync] >= 0:
		return nil
	case r[regFd] < 0:
		return callError("create", r[regFd], j.tmp)
	case r[regWritten] < 0:
		return callError("write", r[regWritten], j.tmp)
	case r[regShort] != 0:
		return callError("write", -int64(unix.ENOSPC), j.tmp)
	case r[regSync] < 0:
		return callError("fsync", r[regSync], j.tmp)
	case r[regRename] < 0:
		return callError("rename", r[regRename], j.tmp)
	case r[regDir] < 0:
		return callError("open", r[regDir], j.dir)
	}
	return callError("fsync", r[regDirSync], j.dir)
}

func (j *saveJob) finish(s *runtime.Shard) {
	p, err := j.player, j.failure()
	j.st.putSave(j)
	p.saved(s, err)
}

func (st *Store) takeSave() *saveJob {
	j := st.saves
	if j != nil {
		st.saves, j.next = j.next, nil
		return j
	}
	j = &saveJob{st: st}
	j.y.Ops = j.ops[:]
	j.y.Done = func(s *runtime.Shard, _ *runtime.Syslet) { j.finish(s) }
	return j
}

func (st *Store) putSave(j *saveJob) {
	j.player = nil
	j.next, st.saves = st.saves, j
}
