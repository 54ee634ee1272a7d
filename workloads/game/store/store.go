// Package store keeps players in files. A file is read by one syslet and replaced by
// one syslet, so that a crash at any moment leaves the old content or the new one,
// and an acknowledged save survives a loss of power.
//
// A player NAME is in DIR/xx/NAME.player, where xx are two hexadecimal digits of a
// hash of the name, so that no folder grows without bound. NAME.tmp beside it is a save
// that was under way.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/world"
)

// Store reads and writes the players' files for one shard. Its methods are for that
// shard only; two shards may have stores of the same folder as long as each player
// is one shard's alone.
type Store struct {
	// Saved is called once for each Ticket, with nil when a save that covers the
	// request is on disk.
	Saved func(p *Player, t Ticket, err error)
	// Idle is called when a player has no save in flight any more; err is that
	// of the last save.
	Idle func(p *Player, err error)
	// Counts may be read on the shard.
	Counts Counts

	dir   string
	loads *loadJob // free jobs
	saves *saveJob
}

// Counts are what a store did; they only grow.
type Counts struct {
	Loads, LoadErrors, LoadsCorrupt uint64
	Saves, SaveErrors               uint64
	SavesCoalesced                  uint64 // requests that another's save covered
}

// ErrNotFound says that there is no file for a name.
var ErrNotFound = errors.New("store: no such player")

// ErrBusy says that too many operations are in flight on the shard
// (runtime Options.MaxInFlight).
var ErrBusy = errors.New("store: too many operations in flight (Options.MaxInFlight)")

const subdirs = 256

// Open makes a store of the folder dir, with its subfolders if they are missing. It
// does its I/O at once: not for a shard's callbacks.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := makeDirs(abs); err != nil {
		return nil, fmt.Errorf("store: players' folder %s: %w", dir, err)
	}
	return &Store{dir: abs, Saved: func(*Player, Ticket, error) {}, Idle: func(*Player, error) {}}, nil
}

func makeDirs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	made := false
	for i := range subdirs {
		switch err := os.Mkdir(fmt.Sprintf("%s/%02x", dir, i), 0o755); {
		case err == nil:
			made = true
		case !errors.Is(err, os.ErrExist):
			return err
		}
	}
	if !made {
		return nil
	}
	// The new folders must be as durable as what will be acknowledged in them.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// appendDir appends the folder of a player's file, without a NUL.
func (st *Store) appendDir(dst []byte, name string) []byte {
	const hex = "0123456789abcdef"
	h := byte(world.NameHash(name) >> 8)
	return append(append(dst, st.dir...), '/', hex[h>>4], hex[h&15])
}

// appendPath appends the path of a player's file with the given ending and a NUL.
func (st *Store) appendPath(dst []byte, name, ending string) []byte {
	dst = append(st.appendDir(dst, name), '/')
	return append(append(append(dst, name...), ending...), 0)
}

const (
	fileEnding = ".player"
	tempEnding = ".tmp"
)

// Path is where the player's file is.
func (st *Store) Path(name string) string {
	p := st.appendPath(nil, name, fileEnding)
	return string(p[:len(p)-1])
}

// callError is the failure of a system call of a syslet.
func callError(call string, res int64, path []byte) error {
	return fmt.Errorf("store: %s %s: %w", call, path[:len(path)-1], unix.Errno(-res))
}

// run submits a job's syslet. ended is true if its end will not be delivered.
func run(s *runtime.Shard, y *runtime.Syslet) (ended, busy bool) {
	switch s.Submit(y) {
	case runtime.Completed:
		return true, false
	case runtime.Queued:
		return false, false
	}
	return true, true
}
