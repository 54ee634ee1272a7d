package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Metric is one measured quantity of one trial, or the reason why there is none.
//
// In JSON it is {"value":…,"unit":…,"source":…} or
// {"unavailable":"why","unit":…,"source":…}; never both, never neither.
type Metric struct {
	// Value is in Unit. Meaningless unless Available.
	Value float64
	// Unit is written as in the catalogue of names: "us", "1/s", "bytes" (shown in MiB), "B", "1".
	Unit string
	// Source says what measured it. Two sources are two different quantities
	// and never share an axis or a table row.
	Source string
	// Unavailable is the reason why there is no value; empty if there is one.
	Unavailable string
}

// Of is a measured value. NaN and infinities are accepted here and refused by
// Writer.Append, which names the metric.
func Of(value float64, unit, source string) Metric {
	return Metric{Value: value, Unit: unit, Source: source}
}

// Missing is a quantity that could not be measured, with the reason in words
// that a reader of the report understands.
func Missing(why, unit, source string) Metric {
	if why == "" {
		why = "no reason given"
	}
	return Metric{Unavailable: why, Unit: unit, Source: source}
}

// PerOp divides a trial's total by its operations. With no operation done there
// is no such quantity, so the metric is unavailable rather than 0 or infinite.
func PerOp(total, ops float64, unit, source string) Metric {
	if !(ops > 0) {
		return Missing("no operation completed in the measured time", unit, source)
	}
	return Of(total/ops, unit, source)
}

// Available reports whether Value means anything.
func (m Metric) Available() bool { return m.Unavailable == "" }

// check returns what makes m unfit to be written.
func (m Metric) check() error {
	switch {
	case m.Unit == "":
		return errors.New("has no unit")
	case m.Source == "":
		return errors.New("has no source")
	case m.Available() && (math.IsNaN(m.Value) || math.IsInf(m.Value, 0)):
		return fmt.Errorf("is %v: say Missing(why) instead", m.Value)
	}
	return nil
}

// metricJSON is Metric on the wire; the pointers tell absent from zero.
type metricJSON struct {
	Value       *float64 `json:"value,omitempty"`
	Unavailable *string  `json:"unavailable,omitempty"`
	Unit        string   `json:"unit"`
	Source      string   `json:"source"`
}

// MarshalJSON refuses NaN, infinities and metrics without unit or source.
func (m Metric) MarshalJSON() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("metric %w", err)
	}
	wire := metricJSON{Unit: m.Unit, Source: m.Source}
	if m.Available() {
		wire.Value = &m.Value
	} else {
		wire.Unavailable = &m.Unavailable
	}
	return json.Marshal(wire)
}

// UnmarshalJSON refuses a metric with both or neither of value and unavailable.
func (m *Metric) UnmarshalJSON(data []byte) error {
	var wire metricJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	switch {
	case wire.Value != nil && wire.Unavailable != nil:
		return errors.New("metric has both value and unavailable")
	case wire.Value != nil:
		*m = Metric{Value: *wire.Value, Unit: wire.Unit, Source: wire.Source}
	case wire.Unavailable != nil && *wire.Unavailable != "":
		*m = Metric{Unavailable: *wire.Unavailable, Unit: wire.Unit, Source: wire.Source}
	default:
		return errors.New("metric has neither value nor a reason in unavailable")
	}
	if err := m.check(); err != nil {
		return fmt.Errorf("metric %w", err)
	}
	return nil
}
