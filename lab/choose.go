package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// Which levels, models and programs run, and how the programs that are not ours are
// brought in.

// chooseModels leaves out what was not asked for and what this system refuses.
func (p *Prepared) chooseModels() error {
	for _, m := range p.opts.Models {
		if !slices.Contains(models.AllNames(), m) && !yardstick.Known(m) && !p.variant(m) {
			return fmt.Errorf("lab: no model %q (--models); there are %s, and beside them %s", m,
				strings.Join(models.AllNames(), ", "), strings.Join(yardstick.Names(), ", "))
		}
	}
	refused := map[string]bool{}
	refuse := func(name string, err error) {
		if err != nil && !refused[name] {
			refused[name] = true
			p.Refused = append(p.Refused, result.Refusal{Model: name, Reason: err.Error()})
		}
	}
	for _, m := range models.AllNames() {
		refuse(m, models.Refused(m))
	}
	for i := range p.opts.Experiments {
		e := &p.opts.Experiments[i]
		e.Models = slices.DeleteFunc(slices.Clone(e.Models), func(m string) bool {
			return len(p.opts.Models) > 0 && !slices.Contains(p.opts.Models, m)
		})
		for _, m := range e.Models {
			switch v, ok := e.Variants[m]; {
			case ok && v.Model != "":
				refuse(m, models.Refused(v.Model))
			case !ok && !slices.Contains(models.AllNames(), m):
				refuse(m, yardstick.Refused(m))
			}
		}
		e.Models = slices.DeleteFunc(e.Models, func(m string) bool { return refused[m] })
		if p.opts.Rounds > 0 {
			e.Rounds = p.opts.Rounds
		}
	}
	return nil
}

// variant reports whether a name is one of a plan's own.
func (p *Prepared) variant(name string) bool {
	return slices.ContainsFunc(p.opts.Experiments, func(e plan.Experiment) bool {
		_, ok := e.Variants[name]
		return ok
	})
}

// chooseLevels leaves out the levels that were not asked for, of each factor that has
// some of them: "64", or "conns=64" of that factor alone. An experiment that has none
// of them is refused: it would be another one than its name says.
func (p *Prepared) chooseLevels() error {
	if len(p.opts.Levels) == 0 {
		return nil
	}
	for i := range p.opts.Experiments {
		e := &p.opts.Experiments[i]
		e.Factors = slices.Clone(e.Factors)
		var all []string
		found := false
		for k := range e.Factors {
			f := &e.Factors[k]
			kept := slices.DeleteFunc(f.Texts(), func(text string) bool {
				return !slices.Contains(p.opts.Levels, text) && !slices.Contains(p.opts.Levels, f.Name+"="+text)
			})
			for _, text := range f.Texts() {
				all = append(all, f.Name+"="+text)
			}
			if len(kept) == 0 {
				continue
			}
			found = true
			if err := f.Keep(kept); err != nil {
				return err
			}
		}
		if !found {
			return fmt.Errorf("lab: experiment %s has none of the levels %s (--levels); it has %s", e.Name,
				strings.Join(p.opts.Levels, ", "), strings.Join(all, ", "))
		}
	}
	return nil
}

// Make builds the programs of the plan that are not ours. What cannot be built is
// refused, and the plan made anew without it. The error is ctx's.
func (p *Prepared) Make(ctx context.Context) error {
	var refused []string
	for _, name := range p.programs() {
		err := yardstick.Make(ctx, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			refused = append(refused, name)
			p.Refused = append(p.Refused, result.Refusal{Model: name, Reason: err.Error()})
		}
	}
	p.made = true
	if len(refused) == 0 {
		return nil
	}
	for i := range p.opts.Experiments {
		e := &p.opts.Experiments[i]
		e.Models = slices.DeleteFunc(e.Models, func(m string) bool { return slices.Contains(refused, m) })
	}
	p.plan()
	return nil
}

// programs are the names in the plan that are not ours.
func (p *Prepared) programs() []string {
	var names []string
	for i := range p.opts.Experiments {
		for _, m := range p.opts.Experiments[i].Models {
			if _, own := p.opts.Experiments[i].Variants[m]; !own && yardstick.Known(m) && !slices.Contains(names, m) {
				names = append(names, m)
			}
		}
	}
	return names
}

// bringIn sets the servers that are not ours.
func (p *Prepared) bringIn(ctx context.Context) error {
	for i := range p.specs {
		s := &p.specs[i]
		if s.Program != nil || s.Variant != nil || !yardstick.Known(s.Model) {
			continue
		}
		var err error
		c := yardstick.Config{Workload: foreignWorkload(s), DiskFile: s.DiskFile, CPUs: s.ServerCPUs}
		if s.Foreign, err = yardstick.Serve(ctx, s.Model, c); err != nil {
			return fmt.Errorf("lab: experiment %s: %w", s.Experiment, err)
		}
	}
	return nil
}

// foreignWorkload is a workload's name in package yardstick: our echo with a disk
// file is another there.
func foreignWorkload(s *trial.Spec) string {
	if s.Workload == workloads.Echo && s.NeedsDiskFile {
		return yardstick.Framed
	}
	return s.Workload
}
