package sensor

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// skipWithoutBPF is the one place where tests pass over missing bpf. A program that
// the kernel refuses for itself is a fault of ours.
func skipWithoutBPF(t testing.TB, why string) {
	t.Helper()
	for _, of := range []string{"not permitted", "locked down", "the kernel has no", "does not tell"} {
		if strings.Contains(why, of) {
			t.Skip("no bpf programs here:", why)
		}
	}
	require.Empty(t, why)
}

// TestSyscallsByNumber: calls of this process by name, those of threads that began
// later too.
func TestSyscallsByNumber(t *testing.T) {
	s := NewSyscalls(os.Getpid())
	defer s.Close()
	skipWithoutBPF(t, s.why)
	s.Start()
	const calls = 1000
	done := make(chan struct{})
	var beside func()
	beside = func() {
		runtime.LockOSThread() // never unlocked: a thread of its own
		if unix.Gettid() == unix.Getpid() {
			// The main thread has the process' number: that of any other must do.
			defer runtime.UnlockOSThread()
			held := make(chan struct{})
			go func() { beside(); close(held) }()
			<-held
			return
		}
		for range 2 * calls {
			unix.Getppid()
		}
		done <- struct{}{}
	}
	go beside()
	<-done
	readings, notes := s.Stop()
	require.Empty(t, notes)
	require.Equal(t, 2*calls, int(find(t, readings, "syscall:getppid").Value))
	require.GreaterOrEqual(t, find(t, readings, "syscalls_kernel").Value, 2.0*calls)
	require.LessOrEqual(t, len(readings), 1+syscallsTop)
}

// child is a shell that begins to work when told to.
func child(t *testing.T, script string, attr *syscall.SysProcAttr) (cmd *exec.Cmd, begin func()) {
	t.Helper()
	cmd = exec.Command("sh", "-c", "echo ready; read x; "+script)
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if err := cmd.Start(); err != nil && attr != nil {
		t.Skip("no pid namespaces here:", err)
	} else {
		require.NoError(t, err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd, func() {
		_, err := io.WriteString(stdin, "go\n")
		require.NoError(t, err)
		require.NoError(t, cmd.Wait())
	}
}

// TestSyscallsOfAKnownProgram: dd with blocks of a byte makes two calls a byte, and
// some dozens to begin and end; here, and in a pid namespace of its own, where its
// number is 1.
func TestSyscallsOfAKnownProgram(t *testing.T) {
	if _, err := exec.LookPath("dd"); err != nil {
		t.Skip("no dd:", err)
	}
	const bytes = 20000
	for name, attr := range map[string]*syscall.SysProcAttr{"here": nil, "namespace": {Cloneflags: unix.CLONE_NEWPID}} {
		t.Run(name, func(t *testing.T) {
			cmd, begin := child(t, fmt.Sprintf("exec dd if=/dev/zero of=/dev/null bs=1 count=%d", bytes), attr)
			who, err := identityOf(cmd.Process.Pid)
			require.NoError(t, err)
			require.Equal(t, attr != nil, who.tgid == 1)
			s := NewSyscalls(cmd.Process.Pid)
			defer s.Close()
			s.Start()
			begin()
			skipWithoutBPF(t, s.why)
			readings, _ := s.Stop()
			require.InDelta(t, 2*bytes, find(t, readings, "syscalls_kernel").Value, 300)
			require.InDelta(t, bytes, find(t, readings, "syscall:read").Value, 100)
			require.InDelta(t, bytes, find(t, readings, "syscall:write").Value, 100)
		})
	}
}

// TestSyscallsFromWithinANamespace: we ourselves know the process by another number
// than the kernel's: this test again, in a namespace of its own with a /proc to fit.
func TestSyscallsFromWithinANamespace(t *testing.T) {
	s := NewSyscalls(os.Getpid())
	skipWithoutBPF(t, s.why)
	s.Close()
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("no unshare:", err)
	}
	out, err := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0], "-test.run=^TestSyscallsByNumber$", "-test.v").CombinedOutput()
	if err != nil && strings.HasPrefix(string(out), "unshare:") {
		t.Skipf("no namespaces here: %s", out)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestSyscallsByNumber")
}

// TestSchedulingOfSleeps: a child that sleeps known times is off its CPU that long.
func TestSchedulingOfSleeps(t *testing.T) {
	const naps, nap = 20, 10 * time.Millisecond
	attached := time.Now()
	s := NewScheduling(os.Getpid())
	defer s.Close()
	skipWithoutBPF(t, s.why)
	done := make(chan struct{})
	s.Start()
	go func() {
		runtime.LockOSThread() // never unlocked: a thread of its own
		for range naps {
			ts := unix.NsecToTimespec(int64(nap))
			for unix.Nanosleep(&ts, &ts) == unix.EINTR {
			}
		}
		close(done)
	}()
	<-done
	readings, notes := s.Stop()
	require.Empty(t, notes)
	require.GreaterOrEqual(t, find(t, readings, "offcpu").Value, 0.99*naps*float64(nap.Microseconds()))
	require.GreaterOrEqual(t, find(t, readings, "offcpu_p99").Value, 0.9*float64(nap.Microseconds()))
	most := float64(time.Since(attached).Microseconds()) * (1 + 1.0/histogramSteps)
	require.LessOrEqual(t, find(t, readings, "offcpu_p99").Value, most, "what began before is not known")
	require.LessOrEqual(t, find(t, readings, "runqueue_max").Value, most)
	require.LessOrEqual(t, find(t, readings, "runqueue_p50").Value, find(t, readings, "runqueue_p99").Value)
	require.LessOrEqual(t, find(t, readings, "runqueue_p99").Value, find(t, readings, "runqueue_max").Value)
}

// TestSchedulingSeesPreemption: two that compute on one CPU take it from each other.
func TestSchedulingSeesPreemption(t *testing.T) {
	s := NewScheduling(os.Getpid())
	defer s.Close()
	skipWithoutBPF(t, s.why)
	s.Start()
	var preempted [2]int64
	done := make(chan struct{})
	for i := range preempted {
		go func() {
			defer func() { done <- struct{}{} }()
			runtime.LockOSThread() // never unlocked: its CPUs are not as others'
			var own, one unix.CPUSet
			if unix.SchedGetaffinity(0, &own) != nil {
				return
			}
			for cpu := range 1024 {
				if own.IsSet(cpu) {
					one.Set(cpu)
					break
				}
			}
			_ = unix.SchedSetaffinity(0, &one)
			preempted[i] = computeUntilPreempted(20)
		}()
	}
	<-done
	<-done
	readings, _ := s.Stop()
	sum := float64(preempted[0] + preempted[1])
	require.GreaterOrEqual(t, find(t, readings, "switches_preempted").Value, sum)
	require.Positive(t, find(t, readings, "runqueue_max").Value)
}

// computeUntilPreempted runs until this thread lost its CPU that often.
func computeUntilPreempted(times int64) int64 {
	from := switchesOfThread()
	for {
		if n := switchesOfThread().involuntary - from.involuntary; n >= times {
			return n
		}
		for i := range 10000 {
			touched.Add(uint32(i))
		}
	}
}

// TestBucketInTheKernel: the assembled code and histogramBucket agree.
func TestBucketInTheKernel(t *testing.T) {
	probe := NewScheduling(os.Getpid())
	skipWithoutBPF(t, probe.why)
	probe.Close()
	for range 20 {
		ns := rand.Uint64() >> rand.IntN(64)
		// The duration is part of the code: R1 is loaded with it, R2 is the answer.
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "Dual BSD/GPL", Instructions: bucketProgram(ns)})
		require.NoError(t, err)
		got, _, err := program.Test(make([]byte, 64))
		require.NoError(t, err)
		program.Close()
		require.EqualValues(t, histogramBucket(ns), got, "%d ns", ns)
	}
}

func bucketProgram(ns uint64) asm.Instructions {
	return concat(
		asm.Instructions{asm.LoadImm(asm.R1, int64(ns), asm.DWord)},
		bucketOf("test"),
		asm.Instructions{asm.Mov.Reg(asm.R0, asm.R2), asm.Return()},
	)
}

func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Uint64Range(0, histogramMaxNs).Draw(t, "ns") >> rapid.IntRange(0, 40).Draw(t, "shift")
		bucket := histogramBucket(ns)
		from, until := histogramBounds(bucket)
		if float64(ns) < from || float64(ns) >= until || bucket >= histogramBuckets {
			t.Fatalf("%d ns is in bucket %d, which is %v to %v", ns, bucket, from, until)
		}
		if until-from > max(1, from/histogramSteps) {
			t.Fatalf("bucket %d is %v to %v wide", bucket, from, until)
		}
	})
	counts := make([]uint64, histogramBuckets)
	require.Equal(t, -1.0, histogramQuantile(counts, 0.5))
	counts[histogramBucket(1000)], counts[histogramBucket(100000)] = 99, 1
	require.InDelta(t, 1000, histogramQuantile(counts, 0.5), 64)
	require.InDelta(t, 1000, histogramQuantile(counts, 0.99), 64)
	require.InDelta(t, 100000, histogramQuantile(counts, 1), 6500)
}

func TestSyscallName(t *testing.T) {
	for name, number := range map[string]int{
		"read": unix.SYS_READ, "write": unix.SYS_WRITE, "openat": unix.SYS_OPENAT, "futex": unix.SYS_FUTEX, "epoll_pwait": unix.SYS_EPOLL_PWAIT,
		"io_uring_enter": unix.SYS_IO_URING_ENTER, "sendto": unix.SYS_SENDTO, "recvfrom": unix.SYS_RECVFROM, "accept4": unix.SYS_ACCEPT4,
		"clone3": unix.SYS_CLONE3, "bpf": unix.SYS_BPF, "getppid": unix.SYS_GETPPID, "sched_yield": unix.SYS_SCHED_YIELD, "others": syscallNumbers - 1,
		"500": 500,
	} {
		require.Equal(t, name, syscallName(number))
	}
}

func TestParseInnermostPID(t *testing.T) {
	n, err := parseInnermostPID([]byte("Name:\tx\nNSpid:\t4711\t7\t1\n"))
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	for _, bad := range []string{"", "NSpid:\n", "NSpid:\tx\n", "NSpid:\t0\n", "NSpid:\t" + strconv.Itoa(1<<31) + "\n"} {
		_, err := parseInnermostPID([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestBPFReasons(t *testing.T) {
	require.Contains(t, bpfReason(1, unix.EPERM), "CAP_BPF and CAP_PERFMON")
	require.Contains(t, bpfReason(1, unix.ENOSYS), "CONFIG_BPF_SYSCALL")
	require.Contains(t, bpfReason(7, unix.ESRCH), "process 7 ended")
}
