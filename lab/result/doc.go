// Package result is the schema of a run's folder: what the lab writes while it
// measures, and what reports and comparisons read afterwards. It measures
// nothing and draws nothing.
//
// A folder holds
//
//	plan.json          all trials to come, written once by package lab, for lab resume
//	environment.json   one Environment: the machine, the plan, who was refused, the sittings
//	trials.jsonl       one Trial a line, appended as each trial finishes
//	.lock              held (flock) by the lab that fills the folder
//
// and whatever package reports adds (report.html, plots/, summary.*, bench.txt).
//
// # How to read it
//
// Read does, in Go. For other readers: trials.jsonl is JSON, an object a line, in the
// order in which the trials finished, which is of chance. For example, the median
// latency of each valid trial of an experiment, with jq:
//
//	jq -r 'select(.experiment=="game-mix" and .verdict=="valid") | [.model, .round, .metrics.latency_p50.value] | @tsv' trials.jsonl
//
// A line has schema, id (unique in the run: the first of two counts), experiment,
// workload, model, round (from 1), seed, factors (name to level, levels are text),
// start (RFC 3339, when the measured part began), duration_s (the measured part),
// elapsed_s (all of the trial), verdict (valid, suspect or invalid: count the first two)
// with reasons, notes, command (argv of server and load), warmup_s and warmup_steady,
// and
//
//	metrics        name to {value, unit, source} or {unavailable: why, unit, source}
//	series         the measured part in slices: offset_s, duration_s, intended and answered
//	               requests, mean_us, p50_us, p99_us, max_us, in_flight
//	distributions  name to [[percentile 0..100, us], ...], ascending
//	blocks         what held the server's loops up: see Blocks
//
// Units are last in a name, or in unit: us, ms, s, 1/s, bytes, B (bytes each), %, MHz, 1
// (a number without unit). The names of metrics, with what they mean and which way is
// better, are in names.go. Two sources of one name are two quantities.
//
// # Schemas
//
//	1  the first
//	2  trials: id, elapsed_s, warmup_s, warmup_steady, series. environment: sensors,
//	   load_capacity, binary_sha256, stopping, sittings; plan: trial_s, stopped,
//	   last_round, left_out
//
// A later schema only adds, or Read translates: a trial of schema 1 gets its ID from
// TrialID and has no series. A schema that is later than Schema is refused.
//
// # What survives what
//
// A Writer makes a line durable against the death of the run, not against the
// death of the machine: one write(2) on a descriptor opened with O_APPEND, no
// fsync, because an fsync would disturb the disk that the next trial measures.
// An interrupted run therefore keeps all finished trials, and at worst a torn
// last line, which Read reports as a warning and Reopen cuts off.
//
// A quantity that could not be measured is never 0: it is a Metric with a
// reason in Unavailable. NaN and infinities cannot be written at all.
package result
