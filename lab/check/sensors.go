package check

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/sensor"
)

var sensors = Check{
	Name:  "sensors",
	Shows: "the sensors agree with perf stat and /proc within 2 %: context switches, CPU time, system calls",
	Takes: func(bool) time.Duration { return 5 * time.Second },
	Run: func(ctx context.Context, o Options) (Verdict, error) {
		pairs, err := sensor.Agree(ctx, o.Worker, nil)
		if err != nil {
			return Verdict{}, err
		}
		for i := range pairs {
			o.printf("%s\n", &pairs[i])
		}
		return judgeSensors(pairs), nil
	},
}

func judgeSensors(pairs []sensor.Pair) Verdict {
	v, agree, widest := Verdict{Held: true}, 0, 0.0
	for i := range pairs {
		p := &pairs[i]
		switch {
		case p.Unavailable != "":
			v.NotChecked = append(v.NotChecked, fmt.Sprintf("%s, %s against %s: %s", p.Quantity, p.Ours, p.Theirs, p.Unavailable))
			continue
		case p.Agrees():
			agree++
		default:
			v.Held = false
		}
		widest = max(widest, math.Abs(p.Apart()))
	}
	v.Why = fmt.Sprintf("%d of %d pairs agree within %.0f %%, the widest is %.2f %% apart", agree, len(pairs)-len(v.NotChecked), 100*sensor.MostApart, 100*widest)
	return v
}

// probeLeast is the share of the tries in which the programs must be ranked rightly.
const probeLeast = 0.9

var probe = Check{
	Name:  "probe",
	Shows: "the cache probe ranks programs that touch 16 KiB, 256 KiB and 4 MiB per request in 9 of 10 tries; refused calibrations count apart",
	Uses:  []Option{OptionTries},
	Takes: func(quick bool) time.Duration { return time.Duration(orOf(0, quick, 2, 10)) * 2 * time.Second },
	Run:   runProbe,
}

func runProbe(ctx context.Context, o Options) (Verdict, error) {
	var ranked, done, refused int
	tries, why := orOf(o.Tries, o.Quick, 2, 10), ""
	for done < tries && refused < 3*tries && ctx.Err() == nil {
		all, err := sensor.RankFootprints(ctx, sensor.FootprintConfig{})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			refused, why = refused+1, err.Error()
			o.printf("refused: %s\n", why)
			continue
		}
		done++
		word := "NOT ranked"
		if sensor.Ranked(all) {
			ranked++
			word = "ranked"
		}
		o.printf("try %2d: %s:%s\n", done, word, footprints(all))
	}
	return judgeProbe(ranked, done, refused, tries, why), ctx.Err()
}

// judgeProbe: a machine on which the probe cannot be calibrated says nothing of its rank.
func judgeProbe(ranked, done, refused, tries int, why string) Verdict {
	v := Verdict{Held: float64(ranked) >= probeLeast*float64(done),
		Why: fmt.Sprintf("ranked rightly in %d of %d tries; %d calibrations refused", ranked, done, refused)}
	if done < tries {
		v.NotChecked = []string{fmt.Sprintf("%d of %d tries: %d calibrations were refused, the last: %s", tries-done, tries, refused, why)}
	}
	return v
}

// footprints are the lines that each program displaced per request, by level.
func footprints(all []sensor.FootprintResult) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "  %d KiB", f.Bytes>>10)
		for _, l := range f.Levels {
			switch {
			case l.Samples == 0:
				fmt.Fprintf(&b, " L%d -", l.Level)
			case l.Saturated > l.Samples/2:
				fmt.Fprintf(&b, " L%d all", l.Level)
			default:
				fmt.Fprintf(&b, " L%d %.0f", l.Level, l.LinesPerRequest)
			}
		}
		b.WriteString(";")
	}
	return strings.TrimSuffix(b.String(), ";")
}
