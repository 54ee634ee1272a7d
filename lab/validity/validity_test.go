package validity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

func TestJudge(t *testing.T) {
	good := Evidence{Operations: 10000}
	for name, c := range map[string]struct {
		change func(*Evidence)
		want   result.Verdict
		reason string
	}{
		"good":         {func(*Evidence) {}, result.Valid, ""},
		"few":          {func(e *Evidence) { e.Operations = 99 }, result.Invalid, "99 operations"},
		"interrupted":  {func(e *Evidence) { e.Interrupted = true }, result.Invalid, "interrupted"},
		"some errors":  {func(e *Evidence) { e.Errors, e.LastFailure = 3, "reset" }, result.Suspect, "reset"},
		"many errors":  {func(e *Evidence) { e.Errors = 101 }, result.Invalid, "101 errors"},
		"steal":        {func(e *Evidence) { e.StealPercent = 2.1 }, result.Suspect, "2.1 %"},
		"little steal": {func(e *Evidence) { e.StealPercent = 2 }, result.Valid, ""},
		"others":       {func(e *Evidence) { e.OthersPercent = 16 }, result.Suspect, "other processes used about 16 %"},
		"late load":    {func(e *Evidence) { e.LoadSuspicions = []string{"late"} }, result.Suspect, "late"},
		"flaw":         {func(e *Evidence) { e.Flaws = []string{"no counters"} }, result.Suspect, "no counters"},
	} {
		e := good
		c.change(&e)
		v, reasons := Judge(e)
		require.Equal(t, c.want, v, name)
		if c.reason == "" {
			require.Empty(t, reasons, name)
		} else {
			require.Contains(t, reasons[0], c.reason, name)
		}
	}
}

func TestLoadAddsUp(t *testing.T) {
	e := Evidence{Errors: 1}
	e.Load(&load.Report{Counts: load.Counts{AnsweredInWindow: 500, Lost: 2, Unanswered: 3}, Suspicions: []string{"x"}})
	require.EqualValues(t, 500, e.Operations)
	require.EqualValues(t, 6, e.Errors)
	require.Equal(t, []string{"x"}, e.LoadSuspicions)
}
