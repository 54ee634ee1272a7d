package simdriver_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

// jobs submits random syslets and threadlets and counts their completions.
type jobs struct {
	t       *testing.T
	m       *simdriver.Sim
	all     []*job
	waiting []*job
}

type job struct {
	y         *runtime.Syslet
	outcome   runtime.Outcome
	submitted bool // Submit has returned
	silent    bool
	cancelled bool
	dones     int // completions now
}

// program draws a loop of ops of every kind that a driver treats differently.
func (j *jobs) program() *runtime.Syslet {
	r := j.m.Rand
	ops := []runtime.Op{runtime.Add(runtime.Reg(0), runtime.Imm(1)).To(0)}
	for range r.IntN(4) {
		var flags runtime.Flags
		switch r.IntN(6) {
		case 0:
			flags = runtime.Async
		case 1:
			flags = runtime.Sync
		}
		op := runtime.Fsync(runtime.Imm(3))
		switch r.IntN(4) {
		case 0:
			op = runtime.Sleep(runtime.Imm(int64(r.IntN(3000))))
		case 1:
			op = runtime.Call(func(y *runtime.Syslet) int64 { return y.Regs[0] })
		}
		ops = append(ops, op.With(flags|runtime.StopOnNegative))
	}
	// Round and round until register 0 is 3.
	ops = append(ops, runtime.Add(runtime.Reg(0), runtime.Imm(-3)).With(runtime.StopOnZero).Then(runtime.Goto(0)))
	if r.IntN(8) == 0 {
		for i := range ops {
			ops[i].Flags |= runtime.NoComplete
		}
	}
	return runtime.NewSyslet(ops...)
}

func (j *jobs) submit(s *runtime.Shard) *job {
	k := &job{y: j.program()}
	k.silent = k.y.Ops[0].Flags&runtime.NoComplete != 0
	k.y.Done = func(_ *runtime.Shard, y *runtime.Syslet) {
		k.dones++
		if !k.submitted {
			j.t.Error("a completion came inside Submit")
		}
		if y.InFlight() || y != k.y {
			j.t.Error("a syslet is in flight while its completion is delivered")
		}
		j.checkResult(k)
	}
	k.outcome = s.Submit(k.y)
	k.submitted = true
	j.all = append(j.all, k)
	switch k.outcome {
	case runtime.Completed:
		j.checkResult(k)
	case runtime.Busy:
		if k.y.Regs[0] != 0 {
			j.t.Error("a part of a syslet ran that was Busy")
		}
	default:
		j.waiting = append(j.waiting, k)
	}
	return k
}

func (j *jobs) checkResult(k *job) {
	_, res := k.y.Last()
	switch {
	case res == 0 && k.y.Regs[0] == 3: // ran to its end
	case res == -int64(unix.ECANCELED) && k.cancelled:
	case res < 0 && res != -int64(unix.ECANCELED): // an injected errno
	default:
		j.t.Errorf("a syslet ended with %d, register 0 is %d, cancelled %v", res, k.y.Regs[0], k.cancelled)
	}
}

func (j *jobs) cancelOne(s *runtime.Shard) {
	if len(j.waiting) == 0 {
		return
	}
	k := j.waiting[j.m.Rand.IntN(len(j.waiting))]
	if k.y.InFlight() && k.y.Shard() == s {
		k.cancelled = true
	}
	s.Cancel(k.y)
}

func (j *jobs) check() {
	for i, k := range j.all {
		want := 0
		if k.outcome == runtime.Queued && !k.silent {
			want = 1
		}
		if k.dones != want && !(k.silent && k.dones <= 1) { // one that was cancelled or failed may not be silent
			j.t.Errorf("syslet %d was %v and had %d completions", i, k.outcome, k.dones)
		}
		if k.y.InFlight() {
			j.t.Errorf("syslet %d is still in flight", i)
		}
	}
}

// A Queued syslet completes exactly once, others never; results are the model's.
func TestSysletsCompleteOnce(t *testing.T) {
	everySeed(t, runtime.Options{MaxInFlight: 8}, simdriver.Chaos(), func(t *testing.T, m *simdriver.Sim) {
		w, j := newWitness(t, m), &jobs{t: t, m: m}
		w.stopped = func(s *runtime.Shard) { j.submit(s) }
		w.serve()
		threadlets, done := 0, 0
		boom := errors.New("boom")
		for range 40 {
			m.Server().Shards()[0].Do(func(s *runtime.Shard) {
				j.submit(s)
				j.cancelOne(s)
				want := []error{nil, boom}[m.Rand.IntN(2)]
				out := s.Threadlet(func() error { return want }, func(err error) {
					if done++; err != want {
						t.Errorf("a threadlet gave %v, not %v", err, want)
					}
				})
				switch out {
				case runtime.Queued:
					threadlets++
				case runtime.Completed:
					t.Error("a threadlet was Completed")
				}
			})
			m.Step()
		}
		if err := settle(m, func() bool {
			st := statsOf(t, m)
			return st.OpsSubmitted == st.OpsCompleted+st.OpsFinished+st.OpsBusy-refusedEarly(j, st, threadlets)
		}); err != nil {
			t.Error(err)
		}
		w.stop()
		if done != threadlets {
			t.Errorf("%d threadlets, %d ended", threadlets, done)
		}
		j.check()
	})
}

// refusedEarly are the Busy outcomes that MaxInFlight gave before a driver was
// asked: Stats counts them as Busy but not as submitted.
func refusedEarly(_ *jobs, st runtime.Stats, _ int) uint64 {
	const asked = 80 // what the test asked for: 40 syslets, 40 threadlets
	return asked - st.OpsSubmitted
}

// Results, registers and branches reach a syslet whatever waits in between.
func TestSysletResults(t *testing.T) {
	f := simdriver.Calm()
	everySeed(t, runtime.Options{}, f, func(t *testing.T, m *simdriver.Sim) {
		next := int64(100)
		m.Ops = func(r *rand.Rand, y *runtime.Syslet, op *runtime.Op) int64 {
			switch op.Code {
			case runtime.OpOpenat:
				next++
				return next
			case runtime.OpPread:
				if y.Value(op.Args[0]) != next {
					t.Errorf("pread of %d, opened %d", y.Value(op.Args[0]), next)
				}
				return int64(copy(op.Buf, "content"))
			case runtime.OpClose:
				next = -1
			}
			return 0
		}
		w := newWitness(t, m)
		w.serve()
		buf := make([]byte, 16)
		y := runtime.NewSyslet(
			runtime.Openat(runtime.AtCwd, runtime.CPath("f"), unix.O_RDONLY, 0).To(0).With(runtime.StopOnNegative),
			runtime.Pread(runtime.Reg(0), buf, runtime.Imm(0)).To(1),
			runtime.Close(runtime.Reg(0)),
			runtime.Nop(runtime.Reg(1)),
		)
		ended := false
		y.Done = func(*runtime.Shard, *runtime.Syslet) { ended = true }
		m.Server().Shards()[0].Do(func(s *runtime.Shard) { ended = s.Submit(y) == runtime.Completed || ended })
		if err := settle(m, func() bool { return ended }); err != nil {
			t.Error(err)
		}
		if y.Result() != 7 || string(buf[:7]) != "content" || next != -1 {
			t.Errorf("result %d, buffer %q, descriptor %d", y.Result(), buf, next)
		}
		w.stop()
	})
}

// Timers fire in order and never early, on the simulated clock.
func TestTimers(t *testing.T) {
	everySeed(t, runtime.Options{}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.serve()
		left, last := 20, int64(0)
		m.Server().Shards()[0].Do(func(s *runtime.Shard) {
			for range left {
				due := time.Duration(m.Rand.IntN(5000)) * time.Microsecond
				at := s.NowNs() + int64(due)
				s.Arm(runtime.NewTimer(func(s *runtime.Shard) {
					if left--; s.NowNs() < at || at < last {
						t.Errorf("a timer for %d fired at %d, after one for %d", at, s.NowNs(), last)
					}
					last = at
				}), due)
			}
		})
		if err := settle(m, func() bool { return left == 0 }); err != nil {
			t.Error(err)
		}
		w.stop()
	})
}
