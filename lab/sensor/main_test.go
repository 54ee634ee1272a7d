package sensor

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := BusyWork(os.Args[1], os.Stdin, os.Stdout); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		return
	}
	before := openFiles()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println("leaked goroutines:", err.Error())
			code = 1
		}
		if after := openFiles(); after > before+2 { // the runtime's own poller may have come
			println("leaked descriptors: before", before, "after", after)
			code = 1
		}
	}
	os.Exit(code)
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
