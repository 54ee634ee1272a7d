// Package reports turns a run's folder into pages and plots. It measures
// nothing: every figure is a value of trials.jsonl, or the median, interval or
// ratio of some of them as package stats computes it.
//
// The way through the files:
//
//	write.go     Write: what is made, and where
//	view.go      trials grouped into views: one experiment at one setting
//	verdict.go   what the figures say, in words
//	figures.go   which figures a view gets, with captions
//	dots.go, curve.go, percentiles.go   the three kinds of figure
//	figure.go    drawing one as SVG for the page, SVG and PNG for files
//	table.go, summary.go, bench.go, page.go   the same numbers as text
//
// Rules that hold everywhere: invalid trials are listed and never counted; two
// sources of one metric are two metrics; what is unavailable is shown with its
// reason and never as 0; a model has the same colour and the same glyph in
// every place.
package reports
