package trial

import (
	"errors"
	"fmt"
	"time"

	"github.com/syslet/syslet/workloads/game/ledger"
)

// MakeLedger makes a ledger in which a ranking uses so much CPU time, on the CPU
// that we run on: CPUs of one machine are taken to be alike.
func MakeLedger(dir string, query time.Duration) error {
	l, err := ledger.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot make the ledger (--out): %w", err)
	}
	_, err = l.Calibrate(query)
	if err := errors.Join(err, l.Close()); err != nil {
		return fmt.Errorf("cannot make the ledger (--out): %w", err)
	}
	return nil
}
