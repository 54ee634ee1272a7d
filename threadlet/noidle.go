//go:build !amd64 && !arm64

package threadlet

// idleDetectors: the watcher is assembly, and there is none for this processor.
func idleDetectors() []detector { return nil }

// There is no watcher to wake.
const (
	commandSleep = 0
	commandWatch = 1
)
