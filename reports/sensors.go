package reports

import (
	"fmt"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// sensorRow is one sensor of the run.
type sensorRow struct {
	Name, Source string
	Quantities   []quantityName
	// Overhead is "1.2 µs a reading" or "85 ns a system call".
	Overhead, Unavailable string
}

type quantityName struct{ Name, Unit string }

func sensorRows(env *result.Environment) []sensorRow {
	if env == nil {
		return nil
	}
	var out []sensorRow
	for _, s := range env.Sensors {
		row := sensorRow{Name: s.Name, Source: s.Source, Overhead: overhead(s), Unavailable: s.Unavailable}
		for i, q := range s.Quantities {
			unit := ""
			if i < len(s.Units) && s.Units[i] != "1" {
				unit = s.Units[i]
			}
			row.Quantities = append(row.Quantities, quantityName{q, unit})
		}
		out = append(out, row)
	}
	return out
}

func overhead(s result.SensorInfo) string {
	if s.OverheadNs == nil {
		return "not measured"
	}
	per := orElse(s.PerEvent, "reading")
	switch ns := *s.OverheadNs; {
	case ns >= 1e6:
		return number(ns/1e6) + " ms a " + per
	case ns >= 1e3:
		return number(ns/1e3) + " µs a " + per
	default:
		return number(ns) + " ns a " + per
	}
}

// capacityRow is what the load could do by itself on one workload.
type capacityRow struct {
	Workload     string
	Threads      int
	PerS, Pacing string
	Unavailable  string
}

func capacityRows(env *result.Environment) []capacityRow {
	if env == nil {
		return nil
	}
	var out []capacityRow
	for _, c := range env.LoadCapacity {
		row := capacityRow{Workload: c.Workload, Threads: c.Threads, PerS: quantity(c.PerS, "1/s"), Pacing: "not measured", Unavailable: c.Unavailable}
		if c.PacingRate > 0 {
			row.Pacing = fmt.Sprintf("%s at %s", quantity(c.PacingP99Us, "us"), quantity(c.PacingRate, "1/s"))
		}
		out = append(out, row)
	}
	return out
}

// markdownSensors writes both tables for summary.md; runs of older versions have none.
func markdownSensors(b *strings.Builder, env *result.Environment) {
	if rows := capacityRows(env); len(rows) > 0 {
		b.WriteString("\n## What the load could do by itself\n\n| workload | threads | capacity | pacing error, p99 |\n|---|--:|--:|--:|\n")
		for _, r := range rows {
			if r.Unavailable != "" {
				r.PerS, r.Pacing = "unavailable: "+r.Unavailable, ""
			}
			fmt.Fprintf(b, "| %s | %d | %s | %s |\n", mdText(r.Workload), r.Threads, mdText(r.PerS), mdText(r.Pacing))
		}
	}
	rows := sensorRows(env)
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n## Sensors\n\n| sensor | source | overhead | quantities |\n|---|---|---|---|\n")
	for _, r := range rows {
		var quantities []string
		for _, q := range r.Quantities {
			quantities = append(quantities, strings.TrimSpace(q.Name+" "+q.Unit))
		}
		if r.Unavailable != "" {
			r.Overhead = "unavailable: " + r.Unavailable
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", mdText(r.Name), mdText(r.Source), mdText(r.Overhead), mdText(strings.Join(quantities, ", ")))
	}
}
