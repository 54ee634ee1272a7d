package trial

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// eachLine runs a load process to its end and calls each with what it prints.
func (r *run) eachLine(ctx context.Context, argv []string, each func(*LoadLine)) error {
	p, err := start(argv, r.spec.LoadCPUs)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, p.kill)()
	for {
		var l LoadLine
		ok, err := p.line(&l)
		if err != nil {
			p.kill()
			return errors.Join(fmt.Errorf("the load: %w", err), p.wait())
		}
		if !ok {
			break
		}
		each(&l)
	}
	if err := p.wait(); err != nil {
		return fmt.Errorf("the load: %w", err)
	}
	return nil
}

// searchSLO has the load look for the highest rate that keeps Spec.SLO, against the
// server that runs. Where the load was the limit the rate is a lower bound, and a note
// says so.
func (r *run) searchSLO(ctx context.Context) error {
	var found *load.SLOReport
	err := r.eachLine(ctx, r.spec.sloArgs(r.server.ready.Listen), func(l *LoadLine) {
		if l.SLO != nil {
			found = l.SLO
		}
	})
	if err != nil {
		return err
	}
	if found == nil {
		return errors.New("the load ended without an SLO's rate")
	}
	if found.Limit == load.LimitNone {
		r.out.Metrics[result.SLORate] = result.Missing("no rate kept "+found.SLO+": "+found.Why, "1/s", result.SourceLoad)
		return nil
	}
	r.out.Metrics[result.SLORate] = result.Of(found.RatePerS, "1/s", result.SourceLoad)
	if found.Limit == load.LimitLoad {
		r.out.Notes = append(r.out.Notes, "the rate that keeps "+found.SLO+" is a lower bound: "+found.Why)
	}
	return nil
}

func (s *Spec) sloArgs(target string) []string {
	slo := load.SLO{Quantile: s.SLO.Quantile, Bound: s.SLO.Bound}
	a := append(s.loadBase(target), "--slo", slo.String(), "--rate", strconv.FormatFloat(s.Rate, 'g', -1, 64), "--warmup", (s.SLO.For / 4).String())
	if s.SLO.Precision > 0 {
		a = append(a, "--slo-precision", strconv.FormatFloat(s.SLO.Precision, 'g', -1, 64))
	}
	if s.SLO.For > 0 {
		a = append(a, "--slo-for", s.SLO.For.String())
	}
	shape := s.Shape
	shape.StormConns, shape.StormAt, shape.WarmupMost = 0, 0, 0 // of the window, and tries are short
	return append(a, shape.Flags()...)
}
