package load

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// rawEcho is an echo server as one writes it in C: one locked thread on one CPU,
// epoll, one read and one write per event. Benchmarks only.
type rawEcho struct {
	listener, epoll int
	stop            int // eventfd
	done            chan struct{}
	target          string
}

func newRawEcho(b *testing.B, cpu int) *rawEcho {
	b.Helper()
	s := &rawEcho{done: make(chan struct{})}
	var err error
	s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(b, err)
	require.NoError(b, unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(b, unix.Listen(s.listener, 1024))
	name, err := unix.Getsockname(s.listener)
	require.NoError(b, err)
	s.target = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	s.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(b, err)
	s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(b, err)
	for _, fd := range []int{s.listener, s.stop} {
		require.NoError(b, unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
	}
	go s.loop(cpu)
	b.Cleanup(func() {
		_, _ = unix.Write(s.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		<-s.done
	})
	return s
}

func (s *rawEcho) loop(cpu int) {
	runtime.LockOSThread() // never unlocked: the pinning ends with the thread
	defer close(s.done)
	var set unix.CPUSet
	set.Set(cpu)
	_ = unix.SchedSetaffinity(0, &set)
	p := &poller{fd: s.epoll}
	buf := make([]byte, 64<<10)
	open := map[int]bool{s.listener: true, s.epoll: true, s.stop: true}
	defer func() {
		for fd := range open {
			unix.Close(fd)
		}
	}()
	for {
		n, err := p.poll()
		if n == 0 && err == nil {
			n, err = p.wait(time.Second)
		}
		if err != nil {
			return
		}
		for i := range n {
			fd := int(p.events[i].Fd)
			switch fd {
			case s.stop:
				return
			case s.listener:
				if conn, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
					open[conn] = true
					_ = p.add(conn, unix.EPOLLIN, int32(conn), 0)
				}
			default:
				got, e := receive(fd, buf)
				if e == unix.EAGAIN {
					continue
				}
				if e != 0 || got == 0 {
					unix.Close(fd)
					delete(open, fd)
					continue
				}
				_, _ = send(fd, buf[:got])
			}
		}
	}
}

// lastCPU is where the load goes, the server goes to CPU 0.
func lastCPU() int { return runtime.NumCPU() - 1 }

// BenchmarkPacing reports how late the loop comes to its arrivals.
func BenchmarkPacing(b *testing.B) {
	for _, rate := range []float64{5_000, 20_000, 50_000} {
		b.Run(fmt.Sprintf("rate=%.0f", rate), func(b *testing.B) {
			s := newRawEcho(b, 0)
			r, err := Run(context.Background(), Config{
				Target: s.target, Conns: 100, Rate: rate, Warmup: 200 * time.Millisecond, Duration: 2 * time.Second,
				Load: tagged{window: 64}, CPUs: []int{lastCPU()},
			})
			require.NoError(b, err)
			b.ReportMetric(r.Self.Pacing.P50Us, "pacing-p50-us")
			b.ReportMetric(r.Self.Pacing.P99Us, "pacing-p99-us")
			b.ReportMetric(r.Self.Pacing.P999Us, "pacing-p999-us")
			b.ReportMetric(r.Self.Pacing.MaxUs, "pacing-max-us")
			b.ReportMetric(100*r.Self.Late100us, "late100us-%")
			b.ReportMetric(100*r.Self.Busy, "busy-%")
			b.ReportMetric(r.All.Latency.P50Us, "latency-p50-us")
			b.ReportMetric(r.All.Latency.P99Us, "latency-p99-us")
			b.ReportMetric(float64(r.Self.SwitchesVoluntary)/r.DurationS, "vol-switches/s")
			b.ReportMetric(float64(r.Self.SwitchesInvoluntary)/r.DurationS, "invol-switches/s")
			for _, why := range r.Suspicions {
				b.Log(why)
			}
		})
	}
}

// BenchmarkSaturation is the closed loop's greatest throughput.
func BenchmarkSaturation(b *testing.B) {
	for _, outstanding := range []int{1, 16} {
		b.Run(fmt.Sprintf("outstanding=%d", outstanding), func(b *testing.B) {
			s := newRawEcho(b, 0)
			r, err := Run(context.Background(), Config{
				Target: s.target, Conns: 100, Mode: Closed, Outstanding: outstanding, Warmup: 200 * time.Millisecond,
				Duration: 2 * time.Second, Load: tagged{window: 64}, CPUs: []int{lastCPU()},
			})
			require.NoError(b, err)
			b.ReportMetric(r.Throughput, "answers/s")
			b.ReportMetric(r.All.Latency.P50Us, "latency-p50-us")
			b.ReportMetric(100*r.Self.Busy, "busy-%")
			b.ReportMetric(1e6*r.Self.CPUTimeS/float64(r.Counts.AnsweredInWindow), "load-cpu-us/op")
		})
	}
}
