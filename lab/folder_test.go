package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/workloads"
)

// fill gives every field of v a value that is not its zero value, but for functions.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<40 + 7)
	case reflect.Uint64:
		v.SetUint(1<<63 + 7)
	case reflect.Float64:
		v.SetFloat(0.1)
	case reflect.String:
		v.SetString("<text>\n")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		fill(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Func: // refused by writePlan
	default:
		t.Fatalf("a trial has a field of kind %v: will a plan file keep it?", v.Kind())
	}
}

// TestPlanFileKeepsAllOfATrial: also of fields that are added one day.
func TestPlanFileKeepsAllOfATrial(t *testing.T) {
	dir := t.TempDir()
	var full trial.Spec
	fill(t, reflect.ValueOf(&full).Elem())
	bare := trial.Spec{Experiment: "e", Factors: result.Factors{}, Files: map[string]string{}, ServeFlags: []string{}}
	require.NoError(t, writePlan(dir, 1<<63+1, []trial.Spec{full, bare}))
	f, err := readPlan(dir)
	require.NoError(t, err)
	require.Equal(t, uint64(1<<63+1), f.Seed)
	full.Binary, full.WorkDir = "", ""
	require.Equal(t, []trial.Spec{full, bare}, f.Trials)

	full.Program.Parse = func([]byte) (p trial.Printed, err error) { return p, nil }
	require.ErrorContains(t, writePlan(dir, 1, []trial.Spec{full}), "Program.Parse")
}

// TestBuiltInPlansCanBeKept: what the plan file gives back is what would have run.
func TestBuiltInPlansCanBeKept(t *testing.T) {
	for _, quick := range []bool{false, true} {
		specs := plan.Trials(plan.BuiltIn(quick), 42)
		require.NoError(t, uniqueIDs(specs))
		dir := t.TempDir()
		require.NoError(t, writePlan(dir, 42, specs))
		f, err := readPlan(dir)
		require.NoError(t, err)
		require.Equal(t, specs, f.Trials)
	}
}

func TestPlanFilesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := readPlan(dir)
	require.ErrorIs(t, err, errNoPlan)
	require.ErrorContains(t, err, PlanFile)
	one, err := json.Marshal(trial.Spec{Experiment: "e", Model: "m", Round: 1})
	require.NoError(t, err)
	for text, says := range map[string]string{
		"":                            "unexpected end",
		`{"trials":[]}`:               "unknown schema",
		`{"schema":3,"trials":"new"}`: "a later version of syslet wrote it",
		`{"schema":2,"trials":[]}`:    "it has no trial",
		`{"schema":2,"trials":[` + string(one) + "," + string(one) + `]}`: `two trials of the plan are "e/1/m"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, PlanFile), []byte(text), 0o644))
		_, err := readPlan(dir)
		require.ErrorContains(t, err, says, text)
		require.ErrorContains(t, err, PlanFile, text)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	a, err := takeLock(dir)
	require.NoError(t, err)
	_, err = takeLock(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	a.release()
	a.release()
	b, err := takeLock(dir)
	require.NoError(t, err)
	b.release()
	(*lock)(nil).release()
}

// prepared is a run of a few trials, none of which is run.
func prepared(t *testing.T, dir, binary string) *Prepared {
	t.Helper()
	p, err := Prepare(Options{Out: dir, Binary: binary, Seed: 3, Experiments: []plan.Experiment{
		{Name: "e", Workload: workloads.Echo, Models: []string{"nonblock", "goroutine"}, Rounds: 2, Conns: 1, Rate: 1, Window: time.Second}}})
	require.NoError(t, err)
	return p
}

// begun is a folder as a lab leaves it that is killed before its first trial has ended.
func begun(t *testing.T) (dir, binary string) {
	t.Helper()
	dir, binary = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "syslet")
	require.NoError(t, os.WriteFile(binary, []byte("one build"), 0o755))
	p := prepared(t, dir, binary)
	s, err := p.open()
	require.NoError(t, err)
	require.NoError(t, s.w.Close())
	p.Close()
	return dir, binary
}

func TestResumeTakesThePlanAsItWas(t *testing.T) {
	dir, binary := begun(t)
	want := prepared(t, dir, binary).Trials()
	p, err := Resume(ResumeOptions{Dir: dir, Binary: binary})
	require.NoError(t, err)
	require.Equal(t, want, p.Trials())
	require.Equal(t, uint64(3), p.opts.Seed)
	done, of, _ := p.Progress()
	require.Equal(t, []int{0, 4}, []int{done, of})
	require.Equal(t, result.SittingKilled, p.env.Sittings[0].Ended)
	_, err = Resume(ResumeOptions{Dir: dir, Binary: binary})
	require.ErrorIs(t, err, ErrLocked)
	p.Close()
	require.NoError(t, os.Remove(filepath.Join(dir, result.TrialsFile)))
	p, err = Resume(ResumeOptions{Dir: dir, Binary: binary})
	require.NoError(t, err, "no trial is no fault")
	p.Close()
}

func TestResumeRefusesAnotherBuild(t *testing.T) {
	dir, binary := begun(t)
	require.NoError(t, os.WriteFile(binary, []byte("another build"), 0o755))
	_, err := Resume(ResumeOptions{Dir: dir, Binary: binary})
	require.ErrorIs(t, err, ErrOther)
	require.ErrorContains(t, err, "build of syslet: ")
	p, err := Resume(ResumeOptions{Dir: dir, Binary: binary, Force: true})
	require.NoError(t, err, "the refused one let go of the lock")
	require.Contains(t, strings.Join(p.env.Warnings, ";"), "went on by force after 0 trials although these differ: build of syslet")
	p.Close()
}

func TestResumeWithoutARun(t *testing.T) {
	dir, binary := begun(t)
	for _, name := range []string{result.EnvironmentFile, PlanFile} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		_, err := Resume(ResumeOptions{Dir: dir, Binary: binary})
		require.ErrorContains(t, err, name)
	}
	_, err := Resume(ResumeOptions{Dir: filepath.Join(dir, "none"), Binary: binary})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, filepath.Join(dir, "none"))
}

func TestDifferences(t *testing.T) {
	then := result.Environment{CPUModel: "x", CPUCount: 2, MemoryBytes: 8 << 30, BinarySHA256: "abc", Commit: "1"}
	now := then
	now.MemoryBytes -= 100 << 20
	require.Empty(t, differences(&then, &now))
	now.CPUModel, now.Kernel, now.BinarySHA256, now.IOUring.Available = "", "6", "abd", true
	require.Equal(t, []string{"CPU: x then, unknown now", "kernel: unknown then, 6 now", "io_uring usable: false then, true now",
		"build of syslet: 1 sha256:abc then, 1 sha256:abd now"}, differences(&then, &now))
}

func TestKilledSittingEndsWithItsLastTrial(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	e := result.Environment{Sittings: []result.Sitting{{Start: at(0), End: at(9), Trials: 3, Ended: result.SittingInterrupted}, {Start: at(20)}}}
	closeSittings(&e, 5, at(31))
	require.Equal(t, result.Sitting{Start: at(20), End: at(31), Trials: 2, Ended: result.SittingKilled}, e.Sittings[1])
	closeSittings(&e, 9, at(99))
	require.Equal(t, at(31), e.Sittings[1].End)
	e.Sittings = append(e.Sittings, result.Sitting{Start: at(40)})
	closeSittings(&e, 5, at(31))
	require.Equal(t, result.Sitting{Start: at(40), End: at(40), Ended: result.SittingKilled}, e.Sittings[2], "killed before its first trial ended")
}

func TestStoppingRulesThatCannotBeMeant(t *testing.T) {
	x := plan.Experiment{Name: "e", Workload: workloads.Echo, Models: []string{"nonblock"}, Rounds: 2, Conns: 1, Rate: 1, Window: 10 * time.Second}
	for says, rules := range map[string]result.Stopping{
		"--precision)":    {Precision: 1, Of: DefaultPrecisionOf()},
		"--precision-of)": {Precision: 0.1},
		`no metric "x"`:   {Precision: 0.1, Of: []string{"x"}},
		"less than one round, which takes about 10s": {BudgetS: 9},
	} {
		_, err := Prepare(Options{Out: t.TempDir(), Experiments: []plan.Experiment{x}, Stopping: rules})
		require.ErrorContains(t, err, says)
	}
	_, err := Prepare(Options{Out: t.TempDir(), Experiments: []plan.Experiment{x}, Stopping: result.Stopping{BudgetS: 10.5}})
	require.NoError(t, err)
	_, err = Prepare(Options{Out: t.TempDir(), Experiments: []plan.Experiment{x, x}})
	require.ErrorContains(t, err, "an experiment is there twice")
}
