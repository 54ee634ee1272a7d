package switchlog

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSwitch is a locked thread that is switched out and in once per
// operation, with and without a log: what the log costs a head that sleeps.
func BenchmarkSwitch(b *testing.B) {
	for _, logged := range []bool{false, true} {
		name := map[bool]string{false: "bare", true: "logged"}[logged]
		b.Run(name, func(b *testing.B) {
			var there, back [2]int
			for _, p := range []*[2]int{&there, &back} {
				if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
					b.Fatal(os.NewSyscallError("pipe2", err))
				}
			}
			go echo(there[0], back[1])
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if logged {
				l, err := Open(0)
				if err != nil {
					b.Skip(err)
				}
				defer l.Close()
			}
			var p [1]byte
			for b.Loop() {
				if _, err := unix.Write(there[1], p[:]); err != nil {
					b.Fatal(err)
				}
				if _, err := unix.Read(back[0], p[:]); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			for _, fd := range []int{there[1], back[0]} { // echo closes the rest
				_ = unix.Close(fd)
			}
		})
	}
}

// echo answers each byte until the pipe's end.
func echo(from, to int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var p [1]byte
	for n, err := unix.Read(from, p[:]); n > 0 || err == unix.EINTR; n, err = unix.Read(from, p[:]) {
		_, _ = unix.Write(to, p[:])
	}
	_ = unix.Close(from)
	_ = unix.Close(to)
}
