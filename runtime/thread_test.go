package runtime_test

import (
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// needSlices skips where the kernel keeps its own time slices.
func needSlices(t *testing.T) {
	if err := runtime.SlicesKnown(); err != nil {
		t.Skip(err)
	}
}

// A preferred thread has the short slice, keeps its class and nice value, and is
// given back as it was.
func TestPreferThread(t *testing.T) {
	needSlices(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
		own, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: own.Nice + 1, Runtime: own.Runtime}, 0); err != nil {
			t.Error(err)
			return
		}
		restore := runtime.PreferThread()
		now, err := unix.SchedGetAttr(0, 0)
		if err != nil || now.Runtime != uint64(runtime.PreferredSlice) || now.Policy != unix.SCHED_BATCH || now.Nice != own.Nice+1 {
			t.Errorf("preferred: %+v, %v", now, err)
		}
		restore()
		now, err = unix.SchedGetAttr(0, 0)
		if err != nil || now.Runtime != own.Runtime || now.Policy != unix.SCHED_BATCH || now.Nice != own.Nice+1 {
			t.Errorf("restored: %+v, %v; was %+v", now, err, own)
		}
		idle := unix.SchedAttr{Policy: unix.SCHED_IDLE}
		if err := unix.SchedSetAttr(0, &idle, 0); err == nil {
			runtime.PreferThread()() // a class of its own is left alone
			if now, err := unix.SchedGetAttr(0, 0); err != nil || now.Policy != unix.SCHED_IDLE {
				t.Errorf("another class: %+v, %v", now, err)
			}
		}
	}()
	<-done
}

func TestSlicesKnownUndoesItsTrial(t *testing.T) {
	needSlices(t)
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	require.NoError(t, err)
	require.NoError(t, runtime.SlicesKnown())
	after, err := unix.SchedGetAttr(0, 0)
	require.NoError(t, err)
	require.Equal(t, before.Runtime, after.Runtime)
}
