package runtime

// callSite is where a syslet was submitted: the return addresses of the
// function that asked and of its caller, one of which lies outside the runtime.
type callSite [2]uintptr
