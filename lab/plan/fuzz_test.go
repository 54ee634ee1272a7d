package plan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/lab/trial"
)

// FuzzParse: no text makes it panic, what it refuses it refuses with Problems that
// have lines within the file, and what it takes can be planned.
func FuzzParse(f *testing.F) {
	for _, name := range builtInFiles {
		f.Add([]byte(builtInFile(name)))
	}
	f.Add([]byte(example))
	bad, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(f, err)
	for _, path := range bad {
		text, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := strings.Count(strings.ReplaceAll(string(text), "\r", "\n"), "\n") + 2
		for _, quick := range []bool{false, true} {
			es, err := Parse("fuzz.yaml", text, quick)
			if err != nil {
				require.NotEmpty(t, err.(Problems))
				for _, p := range err.(Problems) {
					require.LessOrEqual(t, p.Line, lines, p)
				}
				continue
			}
			require.NotEmpty(t, es)
			for i := range es {
				require.NoError(t, es[i].Check())
				if es[i].Count() > 1000 {
					es[i].Rounds = 1
				}
				if es[i].Count() > 1000 {
					return // for speed
				}
			}
			requireRounds(t, es, Trials(es, 1))
		}
	})
}

// requireRounds: each round has every model once at every combination of levels,
// IDs tell all trials apart, and rounds come in order.
func requireRounds(t require.TestingT, es []Experiment, specs []trial.Spec) {
	ids, total, last := map[string]bool{}, 0, 0
	for i := range es {
		total += es[i].Count()
	}
	require.Len(t, specs, total)
	for i := range specs {
		s := &specs[i]
		require.GreaterOrEqual(t, s.Round, last)
		last = s.Round
		require.False(t, ids[s.ID()], s.ID())
		ids[s.ID()] = true
		k := slices.IndexFunc(es, func(e Experiment) bool { return e.Name == s.Experiment })
		require.Contains(t, es[k].Models, s.Model)
		for _, f := range es[k].Factors {
			require.Contains(t, f.Texts(), s.Factors[f.Name])
		}
	}
}

// TestRounds: whatever the factors, the models and the order.
func TestRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var es []Experiment
		for i := range rapid.IntRange(1, 3).Draw(t, "experiments") {
			e := Experiment{Name: string(rune('a' + i)), Workload: "echo", Rounds: rapid.IntRange(1, 4).Draw(t, "rounds"), Conns: 10, Rate: 10, Window: 1e9,
				Models:   rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"nonblock", "iouring", "threadlet", "goroutine", "net"}), 1, 5, rapid.ID).Draw(t, "models"),
				Together: rapid.Bool().Draw(t, "together")}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"conns", "rate", "size"}), 0, 3, rapid.ID).Draw(t, "factors") {
				f := Factor{Name: name}
				for _, text := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"16", "17", "64", "1000"}), 1, 4, rapid.ID).Draw(t, "levels") {
					f.Levels = append(f.Levels, Level{Text: text})
				}
				e.Factors = append(e.Factors, f)
			}
			require.NoError(t, e.Check())
			es = append(es, e)
		}
		seed := rapid.Uint64Range(0, 1<<40).Draw(t, "seed")
		specs := Trials(es, seed)
		requireRounds(t, es, specs)
		requireTogether(t, es, specs)
		require.Equal(t, specs, Trials(es, seed), "the same seed gives the same plan")
		for _, s := range specs {
			require.Equal(t, seed+uint64(s.Round), s.Seed, "the models of a round get the same requests")
		}
	})
}

// requireTogether: the models of a cell stand beside each other where that was said.
func requireTogether(t require.TestingT, es []Experiment, specs []trial.Spec) {
	for i := 0; i < len(specs); i++ {
		k := slices.IndexFunc(es, func(e Experiment) bool { return e.Name == specs[i].Experiment })
		if !es[k].Together {
			continue
		}
		models := map[string]bool{}
		for n := range es[k].Models {
			s := specs[i+n]
			require.Equal(t, specs[i].Factors.String(), s.Factors.String())
			require.Equal(t, specs[i].Experiment, s.Experiment)
			models[s.Model] = true
		}
		require.Len(t, models, len(es[k].Models))
		i += len(es[k].Models) - 1
	}
}
