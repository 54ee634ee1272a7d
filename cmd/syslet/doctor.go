package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/check"
	"github.com/syslet/syslet/lab/doctor"
	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/sensor"
)

// doctorFlags are the flags of syslet doctor.
type doctorFlags struct {
	json, strict, noNoise bool
	trials                int
	seed                  uint64
}

func newDoctor() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use: "doctor", Short: "Say what this machine can run and measure, what spoils it, and how that is mended",
		Long: `Look at this machine: what it can run and measure, and what would spoil the figures. Each fault comes with what it
costs and the command that mends it; nothing is changed. A few short trials of one server with itself say how
large a difference must be on this machine to be told from noise.

  syslet doctor
  syslet doctor --no-noise --strict      in a script: exit code 1 if there is a fault

States: ok; note: know it when you read figures; fault: it spoils figures or keeps something from working.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDoctor(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.BoolVar(&f.json, "json", false, "one object of JSON")
	fl.BoolVar(&f.strict, "strict", false, "exit code 1 if there is a fault")
	fl.BoolVar(&f.noNoise, "no-noise", false, "leave out what is measured: the sensors' costs and the noise floor (some seconds)")
	fl.IntVar(&f.trials, "noise-trials", 10, "trials of the noise floor, at least 2")
	fl.Uint64Var(&f.seed, "seed", 0, "of the noise floor's arrivals; 0: from the clock")
	return c
}

func runDoctor(ctx context.Context, f *doctorFlags) error {
	if f.trials < 2 {
		return usage("--noise-trials %d: want at least 2", f.trials)
	}
	r := doctor.Report{Findings: doctor.Examine(doctor.Here())}
	if !f.noNoise {
		r.Sensors = sensor.Costs(load.AllowedCPUs())
		f.noise(ctx, &r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := f.print(&r); err != nil {
		return err
	}
	if n := doctor.Count(r.Findings, doctor.Fault); f.strict && n > 0 {
		return fmt.Errorf("doctor: %d faults (--strict)", n)
	}
	return nil
}

// noise adds the noise floor. That it cannot be measured is a finding, no error.
func (f *doctorFlags) noise(ctx context.Context, r *doctor.Report) {
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano()) % 1e9
	}
	binary, err := os.Executable()
	if err == nil {
		var dir string
		if dir, err = os.MkdirTemp("", "syslet-doctor-"); err == nil {
			defer os.RemoveAll(dir)
			var n check.Noise
			n, err = check.MeasureNoise(ctx, check.NoiseOptions{Binary: binary, Work: filepath.Join(dir, "work"), Seed: f.seed,
				Trials: f.trials, Window: 250 * time.Millisecond})
			r.Noise = &n
		}
	}
	if err != nil {
		r.Noise, r.NoiseFailed = nil, err.Error()
	}
}

func (f *doctorFlags) print(r *doctor.Report) error {
	if f.json {
		return r.JSON(os.Stdout)
	}
	return r.Text(os.Stdout, terminal(os.Stdout))
}
