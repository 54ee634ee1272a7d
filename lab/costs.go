package lab

import (
	"context"

	"github.com/syslet/syslet/lab/result"
)

// What a run measures of its own tools before its first trial.

// sensorCosts are the sensors with what each costs here.
func (p *Prepared) sensorCosts() []result.SensorInfo { return nil }

// loadCapacities is what the load can do by itself, of each workload in the plan. The
// error is ctx's.
func (p *Prepared) loadCapacities(context.Context) ([]result.LoadCapacity, error) { return nil, nil }
