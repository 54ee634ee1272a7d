package reports

import (
	"fmt"

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
