package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a plan.
type Problem struct {
	File string
	// Line counts from 1; 0 if the plan is not from a file.
	Line int
	// Field is where it is, e.g. "factors.conns[1].rate"; empty for the whole.
	Field string
	// Text says what is wrong and what would be right.
	Text string
}

func (p Problem) String() string {
	s := p.Text
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, s)
	}
	return fmt.Sprintf("%s: %s", p.File, s)
}

// Problems is the error of a plan: all that is wrong with it, by line.
type Problems []Problem

// problemsMost bounds what is printed.
const problemsMost = 20

// Error has a line for each problem, the first ones if there are many.
func (ps Problems) Error() string {
	var lines []string
	for i, p := range ps {
		if i == problemsMost {
			lines = append(lines, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		lines = append(lines, p.String())
	}
	return "plan: " + strings.Join(lines, "\n      ")
}

// sorted is by line, each problem once; nil if there is none.
func (ps Problems) sorted() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	var out Problems
	for _, p := range ps {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
