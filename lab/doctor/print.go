package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/syslet/syslet/lab/check"
	"github.com/syslet/syslet/lab/result"
)

// Report is all that the doctor has to say.
type Report struct {
	Findings []Finding `json:"findings"`
	// Noise is nil if it was not measured; NoiseFailed then says why, if it should have
	// been.
	Noise       *check.Noise `json:"noise,omitempty"`
	NoiseFailed string       `json:"noise_failed,omitempty"`
	// Sensors are what each sensor costs, as measured now; none if not asked for.
	Sensors []result.SensorInfo `json:"sensors,omitempty"`
}

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Columns of the text: a state, a name, and the rest up to the width.
const (
	nameColumn  = 8
	valueColumn = 34
	width       = 100
)

// printer writes lines that fit; colour is for terminals.
type printer struct {
	w      io.Writer
	colour bool
	err    error
}

func (p *printer) line(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", a...)
	}
}

// Text writes the report for people, in groups.
func (r *Report) Text(w io.Writer, colour bool) error {
	p := &printer{w: w, colour: colour}
	group := ""
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Group != group {
			p.heading(f.Group)
			group = f.Group
		}
		p.finding(f)
	}
	p.sensors(r.Sensors)
	p.noise(r)
	faults, notes := Count(r.Findings, Fault), Count(r.Findings, Note)
	p.line("\n%s, %s.", several(faults, "fault"), several(notes, "note"))
	return p.err
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p *printer) heading(text string) { p.line("\n%s", text) }

func (p *printer) finding(f *Finding) {
	state := fmt.Sprintf("  %-*s", nameColumn-2, f.State)
	if colours := map[State]string{Fault: "\x1b[31m", Note: "\x1b[33m", OK: "\x1b[32m"}; p.colour {
		state = colours[f.State] + state + "\x1b[0m"
	}
	name := fmt.Sprintf("%-*s", valueColumn-nameColumn, f.Name)
	if utf8.RuneCountInString(f.Name) >= valueColumn-nameColumn {
		p.line("%s%s", state, f.Name)
		state, name = strings.Repeat(" ", nameColumn), strings.Repeat(" ", valueColumn-nameColumn)
	}
	for i, part := range wrap(f.Value, width-valueColumn) {
		if i == 0 {
			p.line("%s%s%s", state, name, part)
			continue
		}
		p.line("%*s%s", valueColumn, "", part)
	}
	p.under("cost: ", f.Cost)
	if f.Mend != "" { // one line, to be copied
		p.line("%*smend: %s", nameColumn, "", f.Mend)
	}
}

func (p *printer) under(label, text string) {
	if text == "" {
		return
	}
	for _, part := range wrap(text, width-nameColumn-len(label)) {
		p.line("%*s%s%s", nameColumn, "", label, part)
		label = strings.Repeat(" ", len(label))
	}
}

// wrap breaks text at blanks into lines of at most so many characters, where it can.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func (p *printer) sensors(sensors []result.SensorInfo) {
	if len(sensors) == 0 {
		return
	}
	p.heading("What sensors cost, measured now")
	for i := range sensors {
		s := &sensors[i]
		f := Finding{Name: s.Name, State: OK, Value: "source " + s.Source}
		switch {
		case s.Unavailable != "":
			f.State, f.Value = Note, "unavailable: "+s.Unavailable
		case s.OverheadNs == nil:
			f.Value += ": its cost is not known"
		case s.PerEvent != "":
			f.Value += fmt.Sprintf(": %.0f ns for each %s", *s.OverheadNs, s.PerEvent)
		default:
			f.Value += fmt.Sprintf(": %.1f us of CPU for each window", *s.OverheadNs/1e3)
		}
		p.finding(&f)
	}
}

func (p *printer) noise(r *Report) {
	if r.Noise == nil && r.NoiseFailed == "" {
		return
	}
	p.heading("Noise floor of this machine")
	if r.Noise == nil {
		p.finding(&Finding{Name: "short A/A test", State: Fault, Value: "could not be measured", Cost: "what differences mean is not known", Mend: r.NoiseFailed})
		return
	}
	n := r.Noise
	for _, l := range wrap(n.What(), width-2) {
		p.line("  %s", l)
	}
	p.line("  %-13s%16s%12s%16s%16s", "", "median", "spread", fmt.Sprintf("%d rounds", check.NoiseRounds), fmt.Sprintf("%d rounds", 3*check.NoiseRounds))
	for i := range n.Floors {
		f := &n.Floors[i]
		p.line("  %-13s%13.1f %-2s%10.1f %%%14.1f %%%14.1f %%", f.Metric, f.Median, f.Unit, 100*f.Spread,
			100*f.Below(check.NoiseRounds), 100*f.Below(3*check.NoiseRounds))
	}
	for _, l := range wrap(n.Means(), width-2) {
		p.line("  %s", l)
	}
}
