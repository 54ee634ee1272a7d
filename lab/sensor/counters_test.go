package sensor

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// TestCountersOfThreads: page faults are counted by software, so they need no PMU.
// They happen on a thread that is there and on one that begins later.
func TestCountersOfThreads(t *testing.T) {
	pageFaults := event{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS}
	c, err := openCounters(os.Getpid(), pageFaults, false)
	if err != nil {
		t.Skip("this kernel or container allows no perf software event:", perfReason(os.Getpid(), err))
	}
	for c.missed > 0 { // Go began a thread just then, which may not be counted: c says so itself
		c.close()
		c, err = openCounters(os.Getpid(), pageFaults, false)
		require.NoError(t, err)
	}
	defer c.close()
	require.NotEmpty(t, c.fds)
	from, err := c.read()
	require.NoError(t, err)
	const pages = 256
	faults := func() {
		held, err := unix.Mmap(-1, 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Munmap(held)
		_ = unix.Madvise(held, unix.MADV_NOHUGEPAGE)
		for i := 0; i < len(held); i += 4096 {
			held[i] = 1
		}
	}
	faults()
	// Locked goroutines, more of them than there are idle threads, need new threads.
	const fresh = 20
	gate, done := make(chan struct{}), make(chan struct{})
	for range fresh {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends here
			<-gate
			faults()
			done <- struct{}{}
		}()
	}
	close(gate)
	for range fresh {
		<-done
	}
	until, err := c.read()
	require.NoError(t, err)
	value, ran, err := between(from, until)
	require.NoError(t, err)
	require.GreaterOrEqual(t, value, float64((fresh+1)*pages))
	require.Equal(t, 1.0, ran)
}

func TestBetweenScales(t *testing.T) {
	from := []count{{100, 1000, 1000}, {0, 0, 0}}
	value, ran, err := between(from, []count{{150, 2000, 1500}, {7, 10, 10}})
	require.NoError(t, err)
	require.Equal(t, 107.0, value)
	require.Equal(t, 0.5, ran)
	// A thread that never ran was counted fully: nothing happened on it.
	value, _, err = between(from, []count{{150, 2000, 2000}, {0, 0, 0}})
	require.NoError(t, err)
	require.Equal(t, 50.0, value)
	// One whose counter never got its turn is taken to be like the other.
	value, ran, err = between(from, []count{{150, 4000, 4000}, {0, 1000, 0}})
	require.NoError(t, err)
	require.InDelta(t, 50*4000.0/3000, value, 1e-9)
	require.Equal(t, 0.75, ran)
	_, _, err = between(from, []count{{100, 2000, 1000}, {0, 0, 0}})
	require.ErrorIs(t, err, errNeverRan)
	_, _, err = between(from, from[:1])
	require.Error(t, err)
}

// TestPMU: either it counts, or it says why not; never 0 by mistake.
func TestPMU(t *testing.T) {
	p := NewPMU(os.Getpid())
	defer p.Close()
	p.Start()
	for x := range 1_000_000 {
		_ = x
	}
	readings, _ := p.Stop()
	require.Len(t, readings, 4)
	for _, r := range readings {
		if !r.Metric.Available() {
			t.Log(r.Name, r.Metric.Unavailable)
			continue
		}
		if r.Name == "cycles" || r.Name == "instructions" {
			require.Greater(t, r.Metric.Value, 1000.0, r.Name)
		}
	}
	if why := pmuMissing(); why != "" {
		require.Equal(t, result.Missing(why, "1", result.SourcePMU), readings[3].Metric)
	}
}

func TestPerfReasons(t *testing.T) {
	require.Contains(t, perfReason(1, unix.EACCES), "kernel.perf_event_paranoid")
	require.Contains(t, perfReason(1, unix.ENOSYS), "no perf events")
	require.Contains(t, perfReason(7, unix.ESRCH), "process 7 ended")
	require.Contains(t, perfReason(7, unix.EMFILE), "ulimit")
}
