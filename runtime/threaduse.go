package runtime

import "golang.org/x/sys/unix"

// threadUse is what the kernel counts of a thread: the poor man's block sensor,
// where perf events are refused. A system call, so it is asked for rarely.
type threadUse struct {
	atNs     int64
	cpuNs    int64
	switches int64 // voluntary
}

// threadUseNow asks about the calling thread.
func threadUseNow() threadUse {
	var u unix.Rusage
	// Cannot fail with a valid address; then nothing is known.
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return threadUse{}
	}
	return threadUse{atNs: nanotime(), cpuNs: u.Utime.Nano() + u.Stime.Nano(), switches: u.Nvcsw}
}

// waited says whether a callback of ns that ends now was held up by waiting: the
// thread gave up its CPU since u and was off it for most of that time.
func (u threadUse) waited(now threadUse, ns int64) bool {
	offNs := now.atNs - u.atNs - (now.cpuNs - u.cpuNs)
	return u.atNs != 0 && now.switches > u.switches && offNs > ns/2
}
