package sensor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// ended reports whether err says that a process or thread is no more.
func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// sourceCPUClock is the process' CPU clock, which another process may read.
const sourceCPUClock = "clock_gettime(process CPU clock)"

// userHz is the unit of times in /proc: USER_HZ is 100 on every Linux that Go runs on.
const userHz = 100

// CPUTime measures the CPU time of a process: "cpu" from its CPU clock, in us, and
// "cpu_user" and "cpu_system" from /proc/PID/stat, which counts in ticks of 10 ms.
type CPUTime struct {
	pid      int
	from     cpuSnapshot
	fromErr  error
	statErr  error
	wasBegun bool
}

type cpuSnapshot struct {
	ns   int64
	stat processStat
}

// NewCPUTime makes the sensor for a process.
func NewCPUTime(pid int) *CPUTime { return &CPUTime{pid: pid} }

// Name implements Sensor.
func (c *CPUTime) Name() string { return "cpu" }

// Close implements Sensor.
func (c *CPUTime) Close() {}

// Start implements Sensor.
func (c *CPUTime) Start() {
	c.from.stat, c.statErr = readStat(c.pid)
	c.from.ns, c.fromErr = processCPUNs(c.pid)
	c.wasBegun = true
}

// Stop implements Sensor.
func (c *CPUTime) Stop() ([]Reading, []string) {
	ns, err := processCPUNs(c.pid)
	stat, statErr := readStat(c.pid)
	if !c.wasBegun {
		c.fromErr = errors.New("the sensor was never started")
		c.statErr = c.fromErr
	}
	cpu := result.Of(float64(ns-c.from.ns)/1e3, "us", sourceCPUClock)
	if err = errors.Join(c.fromErr, err); err != nil {
		cpu = result.Missing(reason(c.pid, err), "us", sourceCPUClock)
	}
	const usPerTick = 1e6 / userHz
	user := result.Of(float64(stat.userTicks-c.from.stat.userTicks)*usPerTick, "us", result.SourceProc)
	system := result.Of(float64(stat.systemTicks-c.from.stat.systemTicks)*usPerTick, "us", result.SourceProc)
	if err := errors.Join(c.statErr, statErr); err != nil {
		user = result.Missing(reason(c.pid, err), "us", result.SourceProc)
		system = user
	}
	return []Reading{total("cpu", cpu), total("cpu_user", user), total("cpu_system", system)}, nil
}

// processCPUNs reads the CPU clock of a process. The clock's number is that of
// clock_getcpuclockid(3): the complement of the pid above three bits, of which 2
// means the scheduler's clock (include/linux/posix-timers.h).
func processCPUNs(pid int) (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|2), &ts)
	switch {
	case errors.Is(err, unix.EINVAL):
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, unix.ESRCH)
	case err != nil:
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}

func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return processStat{}, err
	}
	return parseProcessStat(text)
}

// Memory reads "rss" in bytes, "threads" and "open_files" at the end of the window,
// and how far memory and files grew within it.
type Memory struct {
	pid  int
	from memorySnapshot
}

type memorySnapshot struct {
	taken   bool
	rss     uint64
	source  string
	rssErr  error
	files   int
	fileErr error
}

// NewMemory makes the sensor for a process.
func NewMemory(pid int) *Memory { return &Memory{pid: pid} }

// Name implements Sensor.
func (m *Memory) Name() string { return "memory" }

// Close implements Sensor.
func (m *Memory) Close() {}

// Start implements Sensor.
func (m *Memory) Start() { m.from = readMemory(m.pid) }

// Stop implements Sensor.
func (m *Memory) Stop() ([]Reading, []string) {
	now := readMemory(m.pid)
	rss := result.Of(float64(now.rss), "bytes", now.source)
	if now.rssErr != nil {
		rss = result.Missing(reason(m.pid, now.rssErr), "bytes", now.source)
	}
	rssGrowth := result.Of(float64(now.rss)-float64(m.from.rss), "bytes", now.source)
	if err := errors.Join(m.from.rssErr, now.rssErr); err != nil || !m.from.taken {
		rssGrowth = result.Missing(reason(m.pid, err), "bytes", now.source)
	}
	const source = result.SourceProc
	files := result.Of(float64(now.files), "1", source)
	if now.fileErr != nil {
		files = result.Missing(reason(m.pid, now.fileErr), "1", source)
	}
	fileGrowth := result.Of(float64(now.files-m.from.files), "1", source)
	if err := errors.Join(m.from.fileErr, now.fileErr); err != nil || !m.from.taken {
		fileGrowth = result.Missing(reason(m.pid, err), "1", source)
	}
	threads := result.Metric{}
	if stat, err := readStat(m.pid); err != nil {
		threads = result.Missing(reason(m.pid, err), "1", source)
	} else {
		threads = result.Of(float64(stat.threads), "1", source)
	}
	return []Reading{
		state(result.RSS, rss), state("rss_growth", rssGrowth), state(result.Threads, threads),
		state("open_files", files), state("open_files_growth", fileGrowth),
	}, nil
}

func readMemory(pid int) memorySnapshot {
	s := memorySnapshot{taken: true, source: result.SourceProc}
	text, err := os.ReadFile(procPath(pid, "smaps_rollup"))
	if err == nil {
		s.rss, s.rssErr = parseSmapsRollup(text)
	} else if text, s.rssErr = os.ReadFile(procPath(pid, "statm")); s.rssErr == nil {
		s.rss, s.rssErr = parseStatm(text, uint64(os.Getpagesize()))
	}
	entries, err := os.ReadDir(procPath(pid, "fd"))
	s.files, s.fileErr = len(entries), err
	return s
}
