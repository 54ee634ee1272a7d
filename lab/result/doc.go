// Package result is the schema of a run's folder: what the lab writes while it
// measures, and what reports and comparisons read afterwards. It measures
// nothing and draws nothing.
//
// A folder holds
//
//	environment.json   one Environment: the machine, the plan, who was refused
//	trials.jsonl       one Trial a line, appended as each trial finishes
//
// and whatever package reports adds (report.html, plots/, summary.*, bench.txt).
//
// A Writer makes a line durable against the death of the run, not against the
// death of the machine: one write(2) on a descriptor opened with O_APPEND, no
// fsync, because an fsync would disturb the disk that the next trial measures.
// An interrupted run therefore keeps all finished trials, and at worst a torn
// last line, which Read reports as a warning.
//
// A quantity that could not be measured is never 0: it is a Metric with a
// reason in Unavailable. NaN and infinities cannot be written at all.
package result
