// Package yardstick knows the programs that are not ours and that ours are
// measured beside: other Go network libraries, plain C, and tools.
//
// A program is known by a name that stands where a model's stands: in an
// experiment's Models, in --models, in trials.jsonl. What this system cannot have
// (no source tree, no compiler, a missing header, a build that fails) is refused
// under its name with the reason and what to install, as a model is.
//
// The Go peers are the command of the nested module lab/peers, so that their
// libraries are no dependency of ours; the C programs are lab/peers/c. Both are
// built from the source tree in which syslet is run, into a cache of the user's
// that is keyed by what they are built from.
package yardstick
