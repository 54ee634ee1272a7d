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

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// progress shows how far a run is: a bar with the time left on a terminal, a
// line per trial elsewhere.
type progress struct {
	out   *os.File
	bars  *mpb.Progress
	bar   *mpb.Bar
	began time.Time

	mu  sync.Mutex // the bar draws on its own goroutine
	now string     // what runs now
}

func newProgress(out *os.File) *progress { return &progress{out: out} }

func (p *progress) what() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *progress) onTrial(i, of int, s *trial.Spec, done *result.Trial) {
	what := strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Experiment, s.Model, levelOf(s)))
	p.mu.Lock()
	p.now = what
	p.mu.Unlock()
	if p.began.IsZero() {
		p.began = time.Now()
		if _, err := unix.IoctlGetTermios(int(p.out.Fd()), unix.TCGETS); err == nil {
			p.draw(of)
		}
	}
	if done == nil {
		return
	}
	if p.bar != nil {
		p.bar.EwmaIncrement(time.Since(p.began) / time.Duration(i+1))
		return
	}
	left := time.Since(p.began) / time.Duration(i+1) * time.Duration(of-i-1)
	fmt.Fprintf(p.out, "%d/%d %s: %s, %v left\n", i+1, of, what, verdictLine(done), left.Round(time.Second))
}

func (p *progress) draw(of int) {
	p.bars = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(40))
	p.bar = p.bars.AddBar(int64(of),
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d trials ")),
		mpb.AppendDecorators(
			decor.AverageETA(decor.ET_STYLE_MMSS), decor.Name(" left  "),
			decor.Any(func(decor.Statistics) string { return p.what() })))
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(false)
		p.bars.Wait()
	}
}

func levelOf(s *trial.Spec) string {
	if v, ok := s.Factors["blocking_share"]; ok {
		return v + " % blocking"
	}
	return ""
}

func verdictLine(t *result.Trial) string {
	line := string(t.Verdict)
	if p50, ok := t.Value(result.LatencyP50); ok {
		p99, _ := t.Value(result.LatencyP99)
		line += fmt.Sprintf(", p50 %.0f us, p99 %.0f us", p50, p99)
	}
	if len(t.Reasons) > 0 {
		line += " (" + t.Reasons[0] + ")"
	}
	return line
}
