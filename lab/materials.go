package lab

import (
	"path/filepath"
	"strconv"

	"github.com/syslet/syslet/lab/trial"
)

// What trials need beside programs, made when a sitting begins: of the same seed, so
// that it is the same in each.

// diskFileBytes is far above what a device's own cache serves in a row, and
// small enough to be written in a moment.
const diskFileBytes = 64 << 20

// makeDiskFile writes the files that trials read from, one of each size.
func makeDiskFile(specs []*trial.Spec, dir string, seed uint64) error {
	paths := map[int64]string{}
	for _, s := range specs {
		if !s.NeedsDiskFile {
			continue
		}
		size := s.DiskBytes
		if size == 0 {
			size = diskFileBytes
		}
		if paths[size] == "" {
			path, err := trial.MakeDiskFile(filepath.Join(dir, "disk"+strconv.FormatInt(size, 10)), int(size), seed)
			if err != nil {
				return err
			}
			paths[size] = path
		}
		s.DiskFile = paths[size]
	}
	return nil
}

// makeLedger makes the ledger that the trials' servers keep, if any do: one for
// all, so that a query does the same work in each.
func makeLedger(specs []*trial.Spec, dir string) error {
	path := filepath.Join(dir, "ledger")
	made := false
	for _, s := range specs {
		if s.LedgerQuery == 0 {
			continue
		}
		if !made {
			if err := trial.MakeLedger(path, s.LedgerQuery); err != nil {
				return err
			}
			made = true
		}
		s.Ledger = path
	}
	return nil
}
