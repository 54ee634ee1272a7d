package trial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
)

// Idle connections are held by load processes of their own while the trial goes
// on. The server of the trial has the active connections, and of the idle ones as
// many as its limit on open files allows; more are held by further servers of the
// same kind on the same CPUs, which do nothing else. Their memory is summed.
type Idle struct {
	Conns int
	// EchoBytes is what each of them has sent, and had back, before it is idle.
	EchoBytes int
}

const (
	// filesReserve is what a process needs beside connections.
	filesReserve = 256
	// What a server has whatever the number of its connections is there, and has
	// been used, before the first idle one: warmConns connections have echoed
	// warmBytes each.
	warmConns = 16
	warmBytes = 1 << 20
	// settleFor is longer than a server keeps what it does not need.
	settleFor = 3500 * time.Millisecond
	// connectTimeout bounds how long the connections of one server may take.
	connectTimeout = 2 * time.Minute
)

// OpenFiles is the number of files that a process of ours may have open: Go
// raises the soft limit to the hard one.
func OpenFiles() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Max > 1<<30 {
		return 1 << 30
	}
	return int(l.Max)
}

// Parts says how many idle connections each server holds if the first one has
// active connections, too, and a process may have so many open files.
func (i *Idle) Parts(active, files int) []int {
	room := max(files-filesReserve, 1)
	n := max((i.Conns+active+room-1)/room, 1)
	each := (i.Conns + active + n - 1) / n
	parts := make([]int, n)
	left := i.Conns
	for k := range parts {
		parts[k] = min(each, left)
		if k == 0 {
			parts[k] = min(max(each-active, 0), left)
		}
		left -= parts[k]
	}
	return parts
}

// held are the processes that have idle connections.
type held struct {
	servers []*server // but the trial's own
	holders []*process
}

// memory is what some servers use.
type memory struct {
	rss, heap float64
	source    string
	accepted  uint64
	kernel    uint64
	kernelErr error
}

// holdIdle opens the connections, and books what they cost.
func (r *run) holdIdle(ctx context.Context) (h *held, err error) {
	h = &held{}
	if r.spec.Foreign != nil {
		return h, errors.New("idle connections are measured of our own servers only: others do not say what they have accepted")
	}
	defer func() {
		if err != nil {
			r.letIdleGo(h)
		}
	}()
	parts := r.spec.Idle.Parts(r.spec.Conns, OpenFiles())
	servers := []*server{r.server}
	for range parts[1:] {
		s, err := startServer(r.spec.serverArgs(), r.spec.ServerCPUs)
		if err != nil {
			return h, err
		}
		h.servers, servers = append(h.servers, s), append(servers, s)
	}
	for _, s := range servers {
		warm := Idle{Conns: warmConns, EchoBytes: warmBytes}
		p, _, err := r.hold(ctx, s, &warm)
		if err != nil {
			return h, err
		}
		if err := p.interrupt(); err != nil {
			return h, err
		}
	}
	sleep(ctx, settleFor)
	before, err := usedBy(ctx, servers)
	if err != nil {
		return h, err
	}
	var connectS, cpuUs float64
	var source string
	for i, s := range servers {
		part := Idle{Conns: parts[i], EchoBytes: r.spec.Idle.EchoBytes}
		if part.Conns == 0 {
			continue
		}
		cpuFrom, _, err1 := sensor.ProcessCPU(s.ready.PID)
		p, rep, err := r.hold(ctx, s, &part)
		if err != nil {
			return h, err
		}
		h.holders = append(h.holders, p)
		cpuUntil, src, err2 := sensor.ProcessCPU(s.ready.PID)
		if err := errors.Join(err1, err2); err != nil {
			return h, err
		}
		connectS, cpuUs, source = connectS+rep.ConnectS, cpuUs+cpuUntil-cpuFrom, src
	}
	return h, r.bookIdle(ctx, servers, before, connectS, result.Of(cpuUs, "us", source))
}

// bookIdle says what the connections cost, once the servers have had the time to
// give back what they do not need.
func (r *run) bookIdle(ctx context.Context, servers []*server, before memory, connectS float64, cpu result.Metric) error {
	m, n := r.out.Metrics, float64(r.spec.Idle.Conns)
	m[result.IdleServers] = result.Of(float64(len(servers)), "1", "lab")
	if r.spec.Idle.Conns == 0 {
		return nil
	}
	sleep(ctx, settleFor)
	after, err := usedBy(ctx, servers)
	if err != nil {
		return err
	}
	if got := after.accepted - before.accepted; got != uint64(r.spec.Idle.Conns) {
		return fmt.Errorf("the servers accepted %d idle connections of %d", got, r.spec.Idle.Conns)
	}
	of := ""
	if len(servers) > 1 {
		of = fmt.Sprintf(", sum of %d servers", len(servers))
	}
	m[result.IdleRSS] = result.PerOp(after.rss-before.rss, n, "B", after.source+of)
	m[result.IdleHeap] = result.PerOp(after.heap-before.heap, n, "B", result.SourceGo+of)
	m[result.IdleKernel] = result.PerOp(float64(after.kernel)-float64(before.kernel), n, "B", sensor.SlabSource)
	if err := errors.Join(before.kernelErr, after.kernelErr); err != nil {
		m[result.IdleKernel] = result.Missing(err.Error(), "B", sensor.SlabSource)
	}
	m[result.ConnectRate] = result.Of(n/connectS, "1/s", result.SourceLoad)
	cpu.Value /= n
	m[result.CPUPerConnect] = cpu
	if r.spec.Idle.EchoBytes > 0 {
		m[result.CPUPerConnect] = result.Missing("the connections have also echoed", "us", cpu.Source)
	}
	return nil
}

// usedBy sums what servers use, after a garbage collection in each.
func usedBy(ctx context.Context, servers []*server) (memory, error) {
	var m memory
	for _, s := range servers {
		var snap admin.Snapshot
		if err := s.ask(ctx, http.MethodGet, "/stats?gc", &snap); err != nil {
			return m, fmt.Errorf("memory of a server: %w", err)
		}
		rss, source, err := sensor.Resident(s.ready.PID)
		if err != nil {
			return m, fmt.Errorf("memory of a server: %w", err)
		}
		m.rss, m.source = m.rss+float64(rss), source
		m.heap += float64(snap.HeapBytes + snap.StackBytes)
		m.accepted += snap.Sum.Accepted
	}
	m.kernel, m.kernelErr = sensor.KernelSlab()
	return m, nil
}

// hold starts a process that opens idle connections to s and holds them, and
// waits until the server has them.
func (r *run) hold(ctx context.Context, s *server, i *Idle) (*process, *load.IdleReport, error) {
	argv := []string{r.spec.Binary, "load", "--json", "--workload", r.spec.Workload, "--target", s.ready.Listen, "--conns", "0",
		"--idle-conns", strconv.Itoa(i.Conns), "--idle-echo", strconv.Itoa(i.EchoBytes)}
	if len(r.spec.LoadCPUs) > 0 {
		argv = append(argv, "--cpus", CPUList(r.spec.LoadCPUs))
	}
	before, err := s.snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := start(argv, r.spec.LoadCPUs)
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, p.kill)()
	timer := time.AfterFunc(connectTimeout, p.kill)
	defer timer.Stop()
	var line LoadLine
	if ok, err := p.line(&line); !ok || line.Idle == nil {
		p.kill()
		return nil, nil, errors.Join(fmt.Errorf("the holder of idle connections: %w", orEOF(err)), p.wait())
	}
	// The last ones may still be in the backlog.
	for deadline := time.Now().Add(startTimeout); ; sleep(ctx, 10*time.Millisecond) {
		now, err := s.snapshot(ctx)
		if err == nil && now.Sum.Accepted-before.Sum.Accepted < uint64(i.Conns) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			p.kill()
			_ = p.wait() // says that it was killed
			return nil, nil, err
		}
		return p, line.Idle, nil
	}
}

// interrupt ends a holder in good order. It fails if connections were lost.
func (p *process) interrupt() error {
	_ = p.cmd.Process.Signal(os.Interrupt) // one that has ended says why
	timer := time.AfterFunc(stopTimeout, p.kill)
	defer timer.Stop()
	for p.stdout.Scan() {
	}
	return p.wait()
}

// letIdleGo ends the holders, and then the servers that had nothing else.
func (r *run) letIdleGo(h *held) {
	for _, p := range h.holders {
		if err := p.interrupt(); err != nil {
			r.evidence.Flaws = append(r.evidence.Flaws, "the holder of idle connections: "+err.Error())
		}
	}
	for _, s := range h.servers {
		s.end()
	}
}
