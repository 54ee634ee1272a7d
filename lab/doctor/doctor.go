// Package doctor looks at a machine and says what of it keeps the lab from
// measuring, or servers from running, and how that is mended.
//
// Each check is a value in a table: a probe that reads something below a root folder
// or from the facts of this process (Machine), and a judgement of what was read. So
// a folder of a few files is a machine, for tests.
package doctor

import "fmt"

// State is how a finding is to be taken.
type State string

const (
	// OK needs no thought.
	OK State = "ok"
	// Note is worth knowing when figures are read: it costs little, or nothing can be
	// done about it here.
	Note State = "note"
	// Fault spoils figures or keeps something from working, and can be mended.
	Fault State = "fault"
)

// Finding is what one check found.
type Finding struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	State State  `json:"state"`
	// Value is what is there, in words.
	Value string `json:"value"`
	// Cost is what it costs to leave it so, and Mend the command that mends it. A fault
	// has both; a note may have them.
	Cost string `json:"cost,omitempty"`
	Mend string `json:"mend,omitempty"`
}

// entry is one line of the table.
type entry struct {
	group, name string
	// probe reads; an error is what cannot be read, and no fault by itself.
	probe func(m *Machine) (string, error)
	judge func(m *Machine, read string, err error) verdict
}

// verdict is a Finding without its names.
type verdict struct {
	state             State
	value, cost, mend string
}

func ok(format string, a ...any) verdict { return verdict{state: OK, value: fmt.Sprintf(format, a...)} }

func (v verdict) because(cost string) verdict { v.cost = cost; return v }

func (v verdict) mendedBy(format string, a ...any) verdict {
	v.mend = fmt.Sprintf(format, a...)
	return v
}

func note(format string, a ...any) verdict {
	return verdict{state: Note, value: fmt.Sprintf(format, a...)}
}

func fault(format string, a ...any) verdict {
	return verdict{state: Fault, value: fmt.Sprintf(format, a...)}
}

// Groups, in the order in which they are printed.
const (
	groupMachine = "Machine"
	groupCPU     = "CPUs and power"
	groupUring   = "io_uring"
	groupLimits  = "Limits"
	groupSensors = "What may be measured"
	groupModels  = "Models and programs"
)

// Examine runs every check on the machine. It takes milliseconds and changes nothing.
func Examine(m *Machine) []Finding {
	var findings []Finding
	for _, table := range [][]entry{machineChecks, cpuChecks, uringChecks, limitChecks, sensorChecks} {
		for _, c := range table {
			read, err := "", error(nil)
			if c.probe != nil {
				read, err = c.probe(m)
			}
			v := c.judge(m, read, err)
			findings = append(findings, Finding{c.group, c.name, v.state, v.value, v.cost, v.mend})
		}
	}
	return append(findings, m.Programs...)
}

// Count is how many findings have that state.
func Count(findings []Finding, s State) (n int) {
	for i := range findings {
		if findings[i].State == s {
			n++
		}
	}
	return n
}
