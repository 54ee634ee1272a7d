package differential

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/syslet/syslet/runtime"
)

// flight is a program on the driver.
type flight struct {
	p       *Program
	w       *world
	y       *runtime.Syslet
	outcome runtime.Outcome
	told    int // calls of Done; on the shard
	over    bool
	done    chan struct{} // closed at the first
	wrong   []string
}

// drive runs the batch on the driver, all at once.
func (h *harness) drive(batch []*Program, want []expected) ([]string, error) {
	var flights []*flight
	var worlds []*world
	for _, p := range batch {
		w, err := h.world(p)
		if err != nil {
			return nil, err
		}
		worlds = append(worlds, w)
		flights = append(flights, &flight{p: p, w: w, y: w.bind(p)})
	}
	if err := h.fly(flights, want); err != nil {
		return nil, err // the worlds stay: they are in use
	}
	defer func() {
		for _, w := range worlds {
			h.remove(w)
		}
	}()
	for _, w := range worlds {
		w.settle()
	}
	open, err := sweep(h.root, worlds)
	if err != nil {
		return nil, err
	}
	var got []string
	for i, f := range flights {
		e := ending{regs: f.y.Regs}
		e.last, e.res = f.y.Last()
		var pe *runtime.PanicError
		if errors.As(f.y.Err(), &pe) {
			e.err = fmt.Sprint(pe.Value)
		} else if f.y.Err() != nil {
			e.err = f.y.Err().Error()
		}
		text := f.w.report(f.p, e, open[i])
		for _, s := range f.wrong {
			text += s + "\n"
		}
		got = append(got, text)
	}
	return got, nil
}

// fly submits the flights, a second time those that go Again, and waits.
func (h *harness) fly(flights []*flight, want []expected) error {
	for _, f := range flights {
		f.w.begin()
	}
	if err := h.leg(flights, want, false); err != nil {
		return err
	}
	var more []*flight
	var wants []expected
	for i, f := range flights {
		if f.p.Again {
			forget(&f.y.Regs)
			more, wants = append(more, f), append(wants, want[i])
		}
	}
	if len(more) > 0 {
		return h.leg(more, wants, true)
	}
	return nil
}

// leg submits flights, in one callback or each in its own, and waits until each has ended as it
// should. Whether a program ends silently is known of its last leg alone.
func (h *harness) leg(flights []*flight, want []expected, again bool) error {
	deadline := time.Now().Add(h.config.Patience)
	err := h.on(deadline, func(s *runtime.Shard) {
		for _, f := range flights {
			f.told, f.over, f.done = 0, false, make(chan struct{})
			f.y.Done = func(s *runtime.Shard, y *runtime.Syslet) { h.completed(f, s, y) }
		}
		if !h.apart {
			for _, f := range flights {
				f.outcome = s.Submit(f.y)
			}
		}
	})
	for _, f := range flights {
		if h.apart && err == nil {
			err = h.on(deadline, func(s *runtime.Shard) { f.outcome = s.Submit(f.y) })
		}
	}
	if err != nil {
		return h.hung(flights, err)
	}
	for {
		busy := 0
		err := h.on(deadline, func(*runtime.Shard) {
			for _, f := range flights {
				if f.outcome == runtime.Queued && f.y.InFlight() {
					busy++
				}
			}
		})
		if err != nil || time.Now().After(deadline) {
			return h.hung(flights, errHung)
		}
		if busy == 0 {
			break
		}
		h.pause(flights)
	}
	return h.on(deadline, func(*runtime.Shard) {
		for i, f := range flights {
			f.over = true
			h.judge(f, want[i].silent, f.p.Again && !again)
		}
		if h.stray > 0 {
			flights[0].wrong = append(flights[0].wrong, fmt.Sprintf("%d completions came after the end of their run", h.stray))
			h.stray = 0
		}
	})
}

// pause waits until something may have changed: for a completion, or a little.
func (h *harness) pause(flights []*flight) {
	for _, f := range flights {
		if f.outcome == runtime.Queued {
			select {
			case <-f.done:
			case <-time.After(100 * time.Microsecond):
				return
			}
		}
	}
	goruntime.Gosched()
}

// completed is the Done of a flight.
func (h *harness) completed(f *flight, s *runtime.Shard, y *runtime.Syslet) {
	if f.over {
		h.stray++
		return
	}
	if y != f.y || s != h.server.Shards()[0] {
		f.wrong = append(f.wrong, "the completion was another's")
	}
	if f.told++; f.told == 1 {
		close(f.done)
	}
}

// judge counts the completions of a leg. silent is not known of a first leg of two.
func (h *harness) judge(f *flight, silent, first bool) {
	due := 0
	switch f.outcome {
	case runtime.Completed:
		h.tally.Completed++
	case runtime.Queued:
		h.tally.Queued++
		if due = 1; silent {
			due = 0
			h.tally.Silent++
		}
	default:
		f.wrong = append(f.wrong, fmt.Sprintf("outcome %s", f.outcome))
	}
	if f.told != due && !(first && f.outcome == runtime.Queued && f.told < 2) {
		f.wrong = append(f.wrong, fmt.Sprintf("outcome %s: %d completions, %d are due", f.outcome, f.told, due))
	}
}
