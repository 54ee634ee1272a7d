package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/models/threadlet"
	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say what this machine can run and measure, and what is missing",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return doctor() },
	}
}

func doctor() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	e := sensor.Environment(".", ".")
	row := func(what, state, detail string) { fmt.Fprintf(w, "%s\t%s\t%s\n", what, state, detail) }
	row("kernel", e.Kernel, e.OS+" "+e.Arch)
	row("CPUs", fmt.Sprint(len(load.AllowedCPUs())), e.CPUModel+virtual(e.Virtual))
	row("Go", e.GoVersion, fmt.Sprintf("GOMAXPROCS %d", runtime.GOMAXPROCS(0)))
	for _, name := range models.AllNames() {
		if err := models.Refused(name); err != nil {
			row("model "+name, "refused", err.Error())
			continue
		}
		row("model "+name, "ok", models.Describe(name))
	}
	for _, name := range yardstick.Names() {
		if err := yardstick.Refused(name); err != nil {
			row("program "+name, "refused", err.Error())
			continue
		}
		row("program "+name, "ok", yardstick.Describe(name))
	}
	for _, d := range threadlet.Detectors(load.AllowedCPUs()[0]) {
		detail := ""
		if d.Refused != nil {
			detail = d.Refused.Error()
		}
		row("detector "+d.Name, okIf(d.Refused == nil), detail)
	}
	row("perf events", okIf(e.Perf.Available), e.Perf.Detail)
	if err := srt.SlicesKnown(); err != nil {
		row("short time slices", "unavailable", err.Error()+": what computes beside a loop delays it by its slice")
	} else {
		row("short time slices", "ok", fmt.Sprintf("a loop's thread asks for %v at a time, and is served at once when it wakes", srt.PreferredSlice))
	}
	pmu := sensor.NewPMU(os.Getpid())
	pmu.Start()
	for _, r := range firstOf(pmu.Stop()) {
		if !r.Metric.Available() {
			row("PMU "+r.Name, "unavailable", r.Metric.Unavailable)
		} else {
			row("PMU "+r.Name, "ok", "")
		}
	}
	pmu.Close()
	for _, warning := range e.Warnings {
		row("warning", "", warning)
	}
	for _, f := range uring.Probe().List() {
		row("io_uring "+f.Name, strings.ToLower(f.State.String()), "since "+f.Since)
	}
	return w.Flush()
}

func firstOf[A, B any](a A, _ B) A { return a }

func virtual(name string) string {
	if name == "" {
		return ""
	}
	return ", virtual (" + name + ")"
}

func okIf(ok bool) string {
	if ok {
		return "ok"
	}
	return "refused"
}
