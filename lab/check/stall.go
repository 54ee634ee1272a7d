package check

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/syslet/syslet/lab/load"
)

// A server that stands still for 200 ms of 10 s keeps the requests of that time waiting,
// 2 % of them, for what is left of it. Those of its first 10 ms, 0.1 %, wait for 190 ms
// and more, and at 20,000/s the queue that the stall leaves behind adds to that.
const (
	stallFor    = 200 * time.Millisecond
	stallRate   = 20_000
	stallMaxUs  = 200_000.0
	stallP999Us = 190_000.0
)

var stall = Check{
	Name:  "stall",
	Shows: "a server stopped for 200 ms of 10 s shows at full length in the open loop: p99.9 at least 190 ms, maximum 200 ms; the closed loop's figures beside it",
	Uses:  []Option{OptionSeed},
	Takes: func(quick bool) time.Duration { return 2 * (stallWindow(quick) + 500*time.Millisecond) },
	Run:   runStall,
}

func stallWindow(quick bool) time.Duration {
	if quick {
		return 2 * time.Second
	}
	return 10 * time.Second
}

func runStall(ctx context.Context, o Options) (Verdict, error) {
	open, stopped, err := stopMidway(ctx, &o, "--rate", fmt.Sprint(stallRate), "--arrivals", load.ArrivalsConstant)
	if err != nil {
		return Verdict{}, err
	}
	closed, _, err := stopMidway(ctx, &o, "--closed", "--outstanding", "1")
	if err != nil {
		return Verdict{}, err
	}
	o.printf("open loop, %d/s:%s\nclosed loop, one request at a time on each of %d connections:%s\n", stallRate, stallLine(open), plainConns, stallLine(closed))
	return judgeStall(open, closed, stopped), nil
}

func judgeStall(open, closed *load.Report, stopped time.Duration) Verdict {
	l, c := &open.All.Latency, &closed.All.Latency
	return Verdict{Held: l.MaxUs >= stallMaxUs && l.P999Us >= stallP999Us,
		Why: fmt.Sprintf("stopped for %.1f ms, the open loop's p99.9 is %s (at least %.0f) and its maximum %s (at least %.0f); the closed loop's p99.9 is %s, maximum %s",
			float64(stopped)/1e6, ms(l.P999Us), stallP999Us/1e3, ms(l.MaxUs), stallMaxUs/1e3, ms(c.P999Us), ms(c.MaxUs))}
}

func stallLine(r *load.Report) string {
	l := &r.All.Latency
	return fmt.Sprintf(" %d answers, p50 %s, p99 %s, p99.9 %s, max %s", l.Count, ms(l.P50Us), ms(l.P99Us), ms(l.P999Us), ms(l.MaxUs))
}

// stopMidway asks a server that is stopped early in the window, and says how long it was.
func stopMidway(ctx context.Context, o *Options, how ...string) (r *load.Report, stopped time.Duration, err error) {
	s, err := serveEcho(ctx, o)
	if err != nil {
		return nil, 0, err
	}
	defer s.Stop()
	var signalled error
	r, err = askEcho(ctx, o, s, stallWindow(o.Quick), o.Seed, func(p load.Phase) {
		if p.Name != load.PhaseMeasure {
			return
		}
		from := time.Now()
		if signalled = s.Signal(syscall.SIGSTOP); signalled != nil {
			return
		}
		time.Sleep(stallFor) // the length of the stop
		signalled = s.Signal(syscall.SIGCONT)
		stopped = time.Since(from)
	}, how...)
	if err == nil {
		err = signalled
	}
	return r, stopped, err
}
