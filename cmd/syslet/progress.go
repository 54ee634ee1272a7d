package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// progress shows how far a run is: a bar with the time left on a terminal, a
// line per trial elsewhere. It is used by one goroutine.
type progress struct {
	out  *os.File
	bars *mpb.Progress
	bar  *mpb.Bar

	mu   sync.Mutex // the bar draws on its own goroutine
	now  lab.Event
	told time.Time // when now was
}

// drawEvery is seldom: the bar is drawn while a trial is measured.
const drawEvery = 500 * time.Millisecond

func newProgress(out *os.File) *progress { return &progress{out: out} }

func (p *progress) on(e lab.Event) {
	if e.Spec == nil {
		p.print("note: " + e.Note)
		return
	}
	p.mu.Lock()
	p.now, p.told = e, time.Now()
	p.mu.Unlock()
	if p.bar == nil && terminal(p.out) {
		p.draw()
	}
	if p.bar != nil {
		done := e.Trial
		if e.Done == nil {
			done--
		}
		p.bar.SetTotal(int64(e.Of), false) // fewer, when an experiment stops early
		p.bar.SetCurrent(int64(done))
		if e.Done != nil && e.Done.Verdict == result.Invalid {
			p.print(trialLine(e))
		}
		return
	}
	if e.Done != nil {
		p.print(trialLine(e))
	}
}

// print writes a line of its own: above the bar, if there is one.
func (p *progress) print(line string) {
	if p.bars != nil {
		fmt.Fprintln(p.bars, line)
		return
	}
	fmt.Fprintln(p.out, line)
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p *progress) draw() {
	p.bars = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(30), mpb.WithRefreshRate(drawEvery))
	p.bar = p.bars.AddBar(0, // a total that is given here could not change
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d trials")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.state() })))
}

// state is what stands behind the bar.
func (p *progress) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf(" %s left, %s", short(p.now.Left-time.Since(p.told)), what(p.now))
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(false)
		p.bars.Wait()
		p.bar, p.bars = nil, nil
	}
}

// what names a trial, with its round.
func what(e lab.Event) string {
	return strings.TrimSpace(fmt.Sprintf("round %d/%d %s %s %s", e.Spec.Round, e.Rounds, e.Spec.Experiment, e.Spec.Model, levelOf(e.Spec)))
}

func trialLine(e lab.Event) string {
	return fmt.Sprintf("%d/%d %s: %s, %s left", e.Trial, e.Of, what(e), verdictLine(e.Done), short(e.Left))
}

// short is a time in whole seconds, never below none.
func short(d time.Duration) string { return max(0, d).Round(time.Second).String() }

func levelOf(s *trial.Spec) string {
	if v, ok := s.Factors["blocking_share"]; ok {
		return v + " % blocking"
	}
	return s.Factors.String()
}

func verdictLine(t *result.Trial) string {
	line := string(t.Verdict)
	if p50, ok := t.Value(result.LatencyP50); ok {
		line += fmt.Sprintf(", p50 %.0f us", p50)
		if p99, ok := t.Value(result.LatencyP99); ok { // too few requests have none
			line += fmt.Sprintf(", p99 %.0f us", p99)
		}
	} else if rate, ok := t.Value(result.Throughput); ok {
		line += fmt.Sprintf(", %.0f/s", rate)
	}
	if cpu, ok := t.Value(result.CPUPerOp); ok {
		line += fmt.Sprintf(", CPU %.1f us/op", cpu)
	}
	if len(t.Reasons) > 0 {
		line += " (" + t.Reasons[0] + ")"
	}
	return line
}
