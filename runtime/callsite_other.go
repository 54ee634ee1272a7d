//go:build !amd64 && !arm64

package runtime

import goruntime "runtime"

// takeCallSite asks Go, which unwinds by tables: the slow, portable way.
func takeCallSite(c *callSite) {
	*c = callSite{}
	goruntime.Callers(3, c[:]) // without Callers, takeCallSite and who calls it
}
