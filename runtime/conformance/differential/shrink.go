package differential

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Shrinking: as long as the batch still fails, take something away.

// tries is how often a candidate is run before it counts as fine: a difference
// may depend on when things happen.
const tries = 4

// shrinkPatience is how long a candidate may take, where hanging is the failure.
const shrinkPatience = time.Second

// explain is the message of a failure: the smallest batch that was found to
// fail, what differs, and how to see it again.
func (h *harness) explain(test string, seed uint64, batch []*Program, err error) string {
	ops := opsOf(batch)
	if errors.Is(err, errHung) {
		h.config.Patience = min(h.config.Patience, shrinkPatience)
	}
	small, smallErr := h.shrink(batch)
	var b strings.Builder
	fmt.Fprintf(&b, "driver and reference differ.\n  again: go test -run '^%s$' -diff.seed=%d -diff.programs=1, with the same -diff.dir\n", test, seed)
	if smallErr == nil {
		fmt.Fprintf(&b, "  it did not happen again in %d tries; the batch:\n", tries)
		for _, p := range batch {
			fmt.Fprintf(&b, "%s\n", p)
		}
		fmt.Fprintf(&b, "  then:\n%v", err)
		return b.String()
	}
	fmt.Fprintf(&b, "  shrunk from %d ops in %d programs to %d in %d:\n%v", ops, len(batch), opsOf(small), len(small), smallErr)
	return b.String()
}

func opsOf(batch []*Program) (n int) {
	for _, p := range batch {
		n += len(p.Ops)
	}
	return n
}

// shrink gives a small batch that fails, and how; nil, nil if batch does not
// fail again.
func (h *harness) shrink(batch []*Program) ([]*Program, error) {
	saved := h.tally
	defer func() { h.tally = saved }()
	until := time.Now().Add(h.config.ShrinkFor)
	failure := h.fails(batch)
	if failure == nil {
		return nil, nil
	}
	for again := true; again; {
		again = false
		for _, candidate := range smaller(batch) {
			if time.Now().After(until) {
				return batch, failure
			}
			if !slices.ContainsFunc(candidate, func(p *Program) bool { return !p.defined() }) {
				if err := h.fails(candidate); err != nil {
					batch, failure, again = candidate, err, true
					break
				}
			}
		}
	}
	return batch, failure
}

func (h *harness) fails(batch []*Program) error {
	for range tries {
		if err := h.compare(batch); err != nil {
			return err
		}
	}
	return nil
}

// smaller lists batches that are a step simpler, the biggest steps first.
func smaller(batch []*Program) (all [][]*Program) {
	replace := func(i int, p *Program) {
		c := slices.Clone(batch)
		c[i] = p
		all = append(all, c)
	}
	if len(batch) > 1 {
		for i := range batch {
			all = append(all, []*Program{batch[i]})
		}
		for i := range batch {
			all = append(all, slices.Delete(slices.Clone(batch), i, i+1))
		}
	}
	for i, p := range batch {
		for size := len(p.Ops) / 2; size > 0; size /= 2 {
			for from := 0; from+size <= len(p.Ops); from += size {
				replace(i, p.without(from, size))
			}
		}
	}
	for i, p := range batch {
		for _, s := range p.simpler() {
			replace(i, s)
		}
	}
	return all
}

func (p *Program) clone() *Program {
	c := *p
	c.Ops = slices.Clone(p.Ops)
	return &c
}

// without is p with size ops left out from op from on. What went on at one of
// them goes on at what follows.
func (p *Program) without(from, size int) *Program {
	c := p.clone()
	c.Ops = slices.Delete(c.Ops, from, from+size)
	for i := range c.Ops {
		n := &c.Ops[i].Next
		switch {
		case *n >= from+size:
			*n -= size
		case *n >= from:
			*n = from
		}
		if *n >= len(c.Ops) {
			*n = end
		}
	}
	return c
}

// simpler lists programs of the same ops with one thing less.
func (p *Program) simpler() (all []*Program) {
	change := func(i int, f func(op *Op)) {
		c := p.clone()
		f(&c.Ops[i])
		all = append(all, c)
	}
	if p.Again {
		c := p.clone()
		c.Again = false
		all = append(all, c)
	}
	if p.Cold != coldNothing {
		c := p.clone()
		c.Cold = coldNothing
		all = append(all, c)
	}
	for i, r := range p.Regs {
		if r.kind == valProp || i >= fdRegs && r != imm(0) {
			c := p.clone()
			c.Regs[i] = imm(0)
			if i < fdRegs {
				c.Regs[i] = imm(badFD)
			}
			all = append(all, c)
		}
	}
	for i := range p.Ops {
		op := &p.Ops[i]
		for bit := 0; bit < 16; bit++ {
			if op.Flags&(1<<bit) != 0 {
				change(i, func(op *Op) { op.Flags &^= 1 << bit })
			}
		}
		if op.Next != follow {
			change(i, func(op *Op) { op.Next = follow })
		}
		if op.Dst != none {
			change(i, func(op *Op) { op.Dst = none })
		}
		if op.Limit != nil {
			change(i, func(op *Op) { op.Limit = nil })
		}
		for _, v := range []func(op *Op) *Val{func(op *Op) *Val { return &op.A }, func(op *Op) *Val { return &op.B }, func(op *Op) *Val { return &op.C }} {
			if *v(op) != imm(0) {
				change(i, func(op *Op) { *v(op) = imm(0) })
			}
		}
	}
	return all
}
