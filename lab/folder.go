package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// PlanFile is the file of a run's folder that holds its plan.
const PlanFile = "plan.json"

// planFile is plan.json: all that decides what the trials of a run are and in which
// order. It is written once, before the first trial.
type planFile struct {
	Schema int    `json:"schema"`
	Seed   uint64 `json:"seed"`
	// Trials have no Binary and no WorkDir: these are where the sitting finds them.
	Trials []trial.Spec `json:"trials"`
}

func writePlan(dir string, seed uint64, specs []trial.Spec) error {
	f := planFile{Schema: result.Schema, Seed: seed, Trials: append([]trial.Spec(nil), specs...)}
	for i := range f.Trials {
		s := &f.Trials[i]
		if s.Program != nil && s.Program.Parse != nil {
			return fmt.Errorf("lab: %s: a function (Program.Parse) cannot be kept in %s, so the run could not be resumed", s.ID(), PlanFile)
		}
		s.Binary, s.WorkDir = "", ""
	}
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("%s: %w", PlanFile, err)
	}
	return result.Replace(filepath.Join(dir, PlanFile), append(text, '\n'))
}

// errNoPlan is wrapped where a folder has no plan.json.
var errNoPlan = errors.New("no plan to go on with")

func readPlan(dir string) (*planFile, error) {
	path := filepath.Join(dir, PlanFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: the run ended before its first trial, or an older version made it; run it anew (syslet lab run --out with another folder)", path, errNoPlan)
	}
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	if err := result.CheckSchema(text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var f planFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(f.Trials) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no trial", path, errNoPlan)
	}
	if err := uniqueIDs(f.Trials); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &f, nil
}

// lock is held on a run's folder by the one lab that fills it. The kernel lets go of
// it when the process ends, however it ends: flock(2).
type lock struct{ file *os.File }

// ErrLocked is wrapped where another lab is at work in the folder.
var ErrLocked = errors.New("another lab is at work in this folder")

// lockFile stays in the folder: if it were removed, two labs could hold locks on
// two files of that name.
const lockFile = ".lock"

func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the run's folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		who, _ := io.ReadAll(io.LimitReader(f, 32)) // only to name it
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w (process %s): wait for its end, or choose another folder", dir, ErrLocked, strings.TrimSpace(string(who)))
		}
		return nil, fmt.Errorf("lock the run's folder %s: flock: %w", dir, err)
	}
	l := &lock{f}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		l.release()
		return nil, fmt.Errorf("lock the run's folder: %w", err)
	}
	return l, nil
}

// release may be called on nil, and more than once.
func (l *lock) release() {
	if l != nil && l.file != nil {
		_ = l.file.Close() // the lock goes with it
		l.file = nil
	}
}

// identify fills in which build of syslet the binary is: this program's own.
func identify(e *result.Environment, binary string) error {
	if info, ok := debug.ReadBuildInfo(); ok {
		e.Version = info.Main.Version
		changed := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				e.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = "+"
			}
		}
		e.Commit += changed
	}
	f, err := os.Open(binary)
	if err != nil {
		return fmt.Errorf("this program's own file: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("this program's own file: %w", err)
	}
	e.BinarySHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}
