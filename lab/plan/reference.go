package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// example is a plan that shows each form once. A test loads it.
const example = `name: my-server
question: Is my server as fast as those of the lab, at 64 and at 1,000 connections?
workload: echo
models: [nonblock, goroutine, mine, few-standbys]
servers:
  mine: {command: [./my-echo-server, --listen, "{addr}"], env: {GOMAXPROCS: 1}}
  few-standbys: {model: threadlet, flags: [--standbys, "2"]}
rounds: 10
factors:
  conns:
    - {level: 64, rate: 20000}
    - {level: 1000, rate: 15000}
  arrivals: [poisson, constant]
warmup: 300ms
warmup_most: 1500ms
window: 1s
saturate: 500ms
thresholds: [latency_p99 <= 2ms, cpu_per_op <= 20us]
quick:
  rounds: 2
  levels: {conns: [64]}
`

const referenceRules = `A file holds experiments, a document of YAML each (---). Times have a unit, sizes may have one (64KiB).

A factor is a setting that varies: all combinations of all levels run once a round under every model, in an order of
chance. A level that is a mapping has its value as level, and beside it settings that go with it. The factor case is
none of the settings: its levels have names of yours, and are what they set.

The command of a server may be any that listens on {addr} (127.0.0.1:PORT) or {port} and speaks as the workload's own
server does: echo sends back what comes; fileserver serves the folder {dir}/www over HTTP/1.1; fanout sends each
message to all connections. It is bound to the server's CPU, ready when it accepts, and ended by SIGTERM, then SIGKILL.
Besides, {dir} is a folder of the trial's own, {disk} the file of blocking_share, {cpus} the CPUs, {syslet} this program.
`

// Reference documents the file: an example, the rules, and all fields.
func Reference() string {
	var b strings.Builder
	b.WriteString("For example:\n\n")
	for line := range strings.Lines(example) {
		b.WriteString("  " + line)
	}
	b.WriteString("\n" + referenceRules + "\nFields of an experiment:\n\n")
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, f := range ownFields {
		fmt.Fprintf(w, "  %s\t%s\n", f.name, f.doc)
	}
	_ = w.Flush() // into memory
	b.WriteString("\nSettings, of the experiment, of a level, or of quick; all but those marked * may be factors:\n\n")
	for i := range settings {
		s := &settings[i]
		star := ""
		if s.fixed || s.name == overhead {
			star = "*"
		}
		fmt.Fprintf(w, "  %s%s\t%s%s: %s\n", s.name, star, s.doc, s.where(), s.want)
	}
	_ = w.Flush()
	return b.String()
}

// where says which workloads have the setting.
func (s *setting) where() string {
	if len(s.of) == 0 {
		return ""
	}
	return " (" + strings.Join(s.of, ", ") + ")"
}
