package sensor

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

func TestRoleOf(t *testing.T) {
	for comm, role := range map[string]Role{
		"shard0": RoleLoop, "shard12": RoleLoop, "shard0-tl3": RoleLoop, "helper0": RoleHelper,
		"syslet": RoleGo, "": RoleGo, "my shard0": RoleGo, "(shard0)": RoleGo,
	} {
		require.Equal(t, role, RoleOf(comm), comm)
	}
}

func TestSwitchesBetween(t *testing.T) {
	from := map[int]threadStatus{
		10: {"shard0", 100, 10},
		11: {"shard0-tl1", 5, 0},
		12: {"syslet", 7, 7},
		13: {"helper0", 50, 1}, // ends
		14: {"syslet", 90, 9},  // ends, and its number is used again
	}
	until := map[int]threadStatus{
		10: {"shard0", 150, 12},
		11: {"shard0-tl1", 5, 1},
		12: {"syslet", 9, 8},
		14: {"shard1", 3, 2},
		15: {"syslet", 4, 4}, // began
	}
	sums, notes := switchesBetween(from, until)
	require.Equal(t, [roles]roleSwitches{
		RoleLoop: {3, 53, 5},
		RoleGo:   {2, 6, 5},
	}, sums)
	require.Equal(t, []string{
		"1 loop threads began within the window: counted from their begin",
		"1 helper threads ended within the window: their switches since its begin are not counted",
		"1 other threads ended within the window: their switches since its begin are not counted",
		"1 other threads began within the window: counted from their begin",
	}, notes)

	readings := switchReadings(sums)
	metrics := PerOp(readings, 10)
	require.Equal(t, result.Of(5.3, "1", result.SourceProc), metrics["switches_loop_voluntary_per_op"])
	require.Equal(t, result.Of(0.5, "1", result.SourceProc), metrics[result.SwitchesGoInvoluntaryPerOp])
	require.Equal(t, result.Of(5.9, "1", result.SourceProc), metrics[result.SwitchesVoluntaryPerOp])
	require.Contains(t, metrics["switches_helper_voluntary_per_op"].Unavailable, "no helper threads")
	require.False(t, PerOp(readings, 0)[result.SwitchesVoluntaryPerOp].Available())
}

// TestSwitchesOfAThread makes a thread of our own, with a loop's name and an odd
// one, sleep a known number of times.
func TestSwitchesOfAThread(t *testing.T) {
	const sleeps = 50
	for _, comm := range []string{"shard9 (a) b", ") S 1 2 (\\\n"} {
		sensor := NewSwitches(os.Getpid())
		begin, done, finish := make(chan struct{}), make(chan struct{}), make(chan struct{})
		named := make(chan struct{})
		go func() {
			runtime.LockOSThread() // never unlocked: the name ends with the thread
			name := append([]byte(comm), 0)
			_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
			close(named)
			<-begin
			for range sleeps {
				ts := unix.NsecToTimespec(int64(100 * time.Microsecond))
				_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
			}
			close(done)
			<-finish
		}()
		<-named
		sensor.Start()
		close(begin)
		<-done
		readings, _ := sensor.Stop()
		close(finish)
		name := "switches_go_voluntary"
		if RoleOf(comm) == RoleLoop {
			name = "switches_loop_voluntary"
		}
		require.GreaterOrEqual(t, find(t, readings, name).Value, float64(sleeps), "%q", comm)
		require.GreaterOrEqual(t, find(t, readings, "switches_voluntary").Value, float64(sleeps))
	}
}

func find(t *testing.T, readings []Reading, name string) result.Metric {
	t.Helper()
	for _, r := range readings {
		if r.Name == name {
			require.Empty(t, r.Metric.Unavailable, name)
			return r.Metric
		}
	}
	require.Fail(t, "no reading "+name)
	return result.Metric{}
}

// TestProcessThatEnded: nothing is 0, everything says why.
func TestProcessThatEnded(t *testing.T) {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	pid := cmd.Process.Pid
	set := ForProcess(Target{PID: pid})
	defer set.Close()
	set.Start()
	stdin.Close()
	require.NoError(t, cmd.Wait())
	readings, _ := set.Stop()
	for _, r := range readings {
		switch r.Name {
		case "steal", "cpu_busy", "steal_load", "cpu_busy_load", "psi_cpu_some", "psi_io_some", "psi_memory_some",
			"frequency_min", "frequency_mean", "thermal_throttles": // of the machine
		case "throttled_us", "llc_occupancy", "mem_bandwidth": // of the group that the process was in
		case "cycles", "instructions", "cache_references", "cache_misses":
			// Where these can be had, the kernel keeps the count of an ended process.
		default:
			require.Contains(t, r.Metric.Unavailable, "ended", r.Name)
		}
		require.NotEmpty(t, r.Metric.Unit, r.Name)
		require.NotEmpty(t, r.Metric.Source, r.Name)
	}
}

func TestNeverStarted(t *testing.T) {
	for _, s := range []Sensor{NewCPUTime(os.Getpid()), NewSwitches(os.Getpid()), NewRunQueueWait(os.Getpid()), NewPressure()} {
		readings, _ := s.Stop()
		require.NotEmpty(t, readings)
		for _, r := range readings {
			require.NotEmpty(t, r.Metric.Unavailable, r.Name)
		}
	}
}
