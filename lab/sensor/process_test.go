package sensor

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// TestCPUTime compares with what the process says of itself.
func TestCPUTime(t *testing.T) {
	own := func() int64 {
		var ts unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts))
		return ts.Nano()
	}
	sensor := NewCPUTime(os.Getpid())
	before := own()
	sensor.Start()
	inner := own()
	for x := 0; own()-inner < int64(50*time.Millisecond); x++ {
		_ = x * x
	}
	innerNs := own() - inner
	readings, _ := sensor.Stop()
	outerNs := own() - before
	cpu := find(t, readings, "cpu")
	require.Equal(t, "us", cpu.Unit)
	require.GreaterOrEqual(t, cpu.Value*1e3, float64(innerNs))
	require.LessOrEqual(t, cpu.Value*1e3, float64(outerNs))
	// The ticks are coarse, and sampled or scaled: only that they are there.
	require.GreaterOrEqual(t, find(t, readings, "cpu_user").Value, 0.0)
	require.GreaterOrEqual(t, find(t, readings, "cpu_system").Value, 0.0)
	require.Equal(t, result.PerOp(cpu.Value, 100, "us", sourceCPUClock), PerOp(readings, 100)[result.CPUPerOp])
}

// TestMemory sees memory and files grow in a child: here ourselves.
func TestMemory(t *testing.T) {
	sensor := NewMemory(os.Getpid())
	sensor.Start()
	const size = 32 << 20
	held, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer unix.Munmap(held)
	for i := 0; i < size; i += 4096 {
		held[i] = 1
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	readings, _ := sensor.Stop()
	require.GreaterOrEqual(t, find(t, readings, "rss_growth").Value, float64(size/2)) // others may shrink meanwhile
	require.GreaterOrEqual(t, find(t, readings, result.RSS).Value, float64(size))
	require.EqualValues(t, 2, find(t, readings, "open_files_growth").Value)
	require.Positive(t, find(t, readings, result.Threads).Value)
}

// TestSetOnAChild runs all sensors on another process that burns CPU.
func TestSetOnAChild(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read x; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read x")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		stdin.Close()
		_ = cmd.Wait() // its last read fails
	}()
	set := ForProcess(Target{PID: cmd.Process.Pid})
	defer set.Close()
	set.Start()
	_, err = stdin.Write([]byte("go\n"))
	require.NoError(t, err)
	_, err = stdout.Read(make([]byte, 5))
	require.NoError(t, err)
	readings, _ := set.Stop()
	require.Positive(t, find(t, readings, "cpu").Value)
	// Whether it slept within the window is up to the scheduler: only that it is known.
	require.GreaterOrEqual(t, find(t, readings, "switches_voluntary").Value, 0.0)
	require.Positive(t, find(t, readings, result.RSS).Value)
	for name, m := range PerOp(readings, 20000) {
		if m.Available() {
			continue
		}
		t.Log(name, "unavailable:", m.Unavailable)
		require.Zero(t, m.Value)
	}
}
