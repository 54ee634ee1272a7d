package threadlet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
)

// BenchmarkStrategy shows where one strategy for an op that has a nonblocking
// form begins to beat the other: ns per recv, all of a busy loop on one CPU, over
// the share of them that find their data there. A recv that finds none gets it
// from the loop itself a turn later, so nothing but the strategy differs.
func BenchmarkStrategy(b *testing.B) {
	for _, permille := range []int{0, 500, 900, 990, 999, 1000} {
		for _, strategy := range []runtime.Strategy{runtime.StrategyTry, runtime.StrategyDetect} {
			b.Run(fmt.Sprintf("hits=%.1f%%/%v", float64(permille)/10, strategy), func(b *testing.B) {
				f := &feeder{b: b, permille: permille, rng: rand.New(rand.NewPCG(1, 2)), end: make(chan struct{})}
				f.run(runtime.Options{Listen: "127.0.0.1:0", CPUs: []int{anyCPU(b)}, Strategy: strategy, Standbys: lanes + 1})
			})
		}
	}
}

const (
	lanes     = 8  // recvs that may wait at the same time
	turnCalls = 32 // recvs of one turn
)

// feeder keeps a shard busy with recvs. On the shard but for run.
type feeder struct {
	b        *testing.B
	permille int
	rng      *rand.Rand
	lanes    [lanes]lane
	timer    *runtime.Timer
	begun    int
	done     int
	end      chan struct{}
}

// lane is a pair of sockets and the syslet that receives from it.
type lane struct {
	y          *runtime.Syslet
	in, out    int
	flying     bool
	starvation int // turns since the syslet was submitted without data, plus one; 0: it has some
	buf        [1]byte
}

func (f *feeder) run(o runtime.Options) {
	v, err := runtime.New(o, threadlet.New)
	require.NoError(f.b, err)
	require.NoError(f.b, v.Start(func(*runtime.Shard) (runtime.App, error) { return quiet{}, nil }))
	for i := range f.lanes {
		l := &f.lanes[i]
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(f.b, err)
		l.in, l.out = pair[0], pair[1]
		l.y = runtime.NewSyslet(runtime.Recv(runtime.Imm(int64(l.in)), l.buf[:], 0))
		l.y.Done = func(*runtime.Shard, *runtime.Syslet) { l.flying = false; f.done++ }
	}
	f.timer = runtime.NewTimer(f.turn)
	f.b.ReportAllocs()
	f.b.ResetTimer()
	v.Shards()[0].Do(f.turn)
	<-f.end
	f.b.StopTimer()
	st, err := v.Stats(context.Background())
	require.NoError(f.b, err)
	f.b.ReportMetric(float64(st.TakeoversAnnounced)/float64(f.b.N), "announced/op")
	f.b.ReportMetric(float64(st.TakeoversDetected)/float64(f.b.N), "detected/op")
	require.NoError(f.b, v.Stop(context.Background()))
	for i := range f.lanes {
		require.NoError(f.b, unix.Close(f.lanes[i].in))
		require.NoError(f.b, unix.Close(f.lanes[i].out))
	}
}

func (f *feeder) turn(s *runtime.Shard) {
	for i := range f.lanes {
		if l := &f.lanes[i]; l.starvation > 0 {
			if l.starvation++; l.starvation > 2 {
				f.feed(l)
			}
		}
	}
	for n := 0; n < turnCalls && f.begun < f.b.N; n++ {
		l := f.idle()
		if l == nil {
			break
		}
		f.begun++
		if f.rng.IntN(1000) < f.permille {
			f.feed(l)
		} else {
			l.starvation = 1
		}
		if l.flying = s.Submit(l.y) == runtime.Queued; !l.flying {
			f.done++
		}
	}
	if f.done == f.b.N {
		close(f.end)
		return
	}
	s.Arm(f.timer, 0)
}

func (f *feeder) feed(l *lane) {
	l.starvation = 0
	if n, err := unix.Write(l.out, []byte{1}); n != 1 {
		f.b.Error(err)
	}
}

func (f *feeder) idle() *lane {
	for i := range f.lanes {
		if l := &f.lanes[i]; !l.flying {
			return l
		}
	}
	return nil
}

// quiet is an App that does nothing.
type quiet struct{}

func (quiet) Opened(*runtime.Conn)               {}
func (quiet) Data(_ *runtime.Conn, p []byte) int { return len(p) }
func (quiet) Closed(*runtime.Conn, error)        {}
