package models_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/echo"
)

// BenchmarkEcho is one message of 64 bytes there and back, 64 connections in
// turn, server and client in this process: cpu-ns/op is what both cost.
func BenchmarkEcho(b *testing.B) {
	for _, name := range models.AllNames() {
		b.Run(name, func(b *testing.B) {
			if err := models.Refused(name); err != nil {
				b.Skip(err)
			}
			benchmarkEcho(b, name, 64, runtime.Options{})
		})
	}
}

func benchmarkEcho(b *testing.B, model string, n int, o runtime.Options) {
	o.Listen = "127.0.0.1:0"
	srv, err := models.Open(model, o)
	if err == nil {
		err = srv.Start(echo.Config{}.NewApp)
	}
	if err != nil {
		b.Fatal(err)
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", srv.Addr().String()); err != nil {
			b.Fatal(err)
		}
	}
	msg, got := make([]byte, 64), make([]byte, 64)
	b.ReportAllocs()
	before := cpuNs(b)
	for b.Loop() {
		// All connections at once, as a server sees them.
		for _, c := range conns {
			if _, err := c.Write(msg); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range conns {
			if _, err := io.ReadFull(c, got); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(cpuNs(b)-before)/float64(b.N*n), "cpu-ns/msg")
	st, err := srv.Stats(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.SystemCalls())/float64(st.BytesIn/64), "syscalls/msg")
	for _, c := range conns {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Stop(ctx); err != nil {
		b.Fatal(fmt.Errorf("%s: %w", model, err))
	}
}

func cpuNs(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
