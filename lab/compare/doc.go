// Package compare relates a run, NEW, to an earlier one, BASE, cell by cell: the
// rounds of one model at one level of one experiment against the same of the other
// run.
//
// A change is a regression only if three things hold together:
//
//   - the Mann-Whitney test of the rounds, corrected by Holm's method for all
//     comparisons that were made in this report (the family), gives p < 0.05;
//   - the change is larger than the noise bound of its metric: what was asked for,
//     or by how much BASE differs from itself, whichever is larger;
//   - the interval of the change excludes no change;
//
// and it is in the bad direction. Nothing is passed over in silence: cells and
// metrics that only one run has, cells whose load differs, invalid trials and
// comparisons that the number of rounds cannot decide are all in the report.
//
// Baselines of other machines are refused: see Machine.
package compare
