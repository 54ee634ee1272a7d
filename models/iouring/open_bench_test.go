package iouring

import (
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// drive runs b.N syslets, depth of them in flight at a time, all from the shard,
// and reports the system calls that the runtime made for each.
func drive(b *testing.B, v *srt.Server, depth int, program func() *srt.Syslet) {
	b.Helper()
	b.ReportAllocs()
	left, flying, end := b.N, 0, make(chan struct{})
	again := func(s *srt.Shard, y *srt.Syslet) {
		for left > 0 {
			left--
			if s.Submit(y) == srt.Queued {
				return
			}
		}
		if flying--; flying == 0 {
			close(end)
		}
	}
	programs := make([]*srt.Syslet, min(depth, b.N))
	for i := range programs {
		programs[i] = program()
		programs[i].Done = again
	}
	before := statsOf(b, v)
	b.ResetTimer()
	on(b, v, func(s *srt.Shard) {
		flying = len(programs)
		for _, y := range programs {
			again(s, y)
		}
	})
	await(b, end)
	b.StopTimer()
	after := statsOf(b, v)
	b.ReportMetric(float64(after.SystemCalls()-before.SystemCalls())/float64(b.N), "syscalls/op")
	for _, y := range programs {
		if y.Result() < 0 {
			b.Fatal(y.Errno())
		}
	}
}

// ways are how an io_uring shard can run the same program: linked, an op at a time
// (as if no link were allowed), and by plain calls that block the shard.
var ways = []struct {
	name     string
	chainMax int
	flags    srt.Flags
}{{"linked", chainMax, 0}, {"stepwise", 1, 0}, {"plain", 1, srt.Sync}}

func eachWay(b *testing.B, program func(flags srt.Flags) *srt.Syslet) {
	v, d := serve(b, srt.Options{}, echo())
	for _, depth := range []int{1, 16} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("%s/depth=%d", way.name, depth), func(b *testing.B) {
				on(b, v, func(*srt.Shard) { d.syslets.chainMax = way.chainMax })
				drive(b, v, depth, func() *srt.Syslet { return program(way.flags) })
			})
		}
	}
}

// BenchmarkOpenReadClose reads a cached file of 4 KiB as a whole.
func BenchmarkOpenReadClose(b *testing.B) {
	name := file(b, string(make([]byte, 4096)))
	eachWay(b, func(flags srt.Flags) *srt.Syslet {
		y := readFile(name, make([]byte, 4096))
		for i := range y.Ops {
			y.Ops[i] = y.Ops[i].With(flags)
		}
		return y
	})
}

// BenchmarkSave writes 1 KiB to a new file, syncs it, and renames it.
func BenchmarkSave(b *testing.B) {
	dir, n := b.TempDir(), 0
	eachWay(b, func(flags srt.Flags) *srt.Syslet {
		n++
		tmp := srt.CPath(filepath.Join(dir, fmt.Sprintf("tmp%d", n)))
		ops := []srt.Op{
			srt.Openat(srt.AtCwd, tmp, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, 0o644).To(0).With(stopNeg),
			srt.Pwrite(srt.Reg(0), make([]byte, 1024), srt.Imm(0)).To(1),
			srt.Fdatasync(srt.Reg(0)).To(2),
			srt.Close(srt.Reg(0)).To(3),
			srt.Renameat(srt.AtCwd, tmp, srt.AtCwd, srt.CPath(filepath.Join(dir, fmt.Sprint(n))), 0),
		}
		for i := range ops {
			ops[i] = ops[i].With(flags)
		}
		return srt.NewSyslet(ops...)
	})
}
