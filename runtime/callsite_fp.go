//go:build amd64 || arm64

package runtime

// takeCallSite follows the frame pointers, which Go keeps on these processors,
// from the function that calls it: 2 ns, where runtime.Callers takes 180. Go's
// execution tracer walks stacks in the same way (fpTracebackPCs).
//
//go:noescape
func takeCallSite(c *callSite)
