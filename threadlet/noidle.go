//go:build !amd64 && !arm64

package threadlet

// idleDetectors: the watcher is assembly, and there is none for this processor.
func idleDetectors() []detector { return nil }
