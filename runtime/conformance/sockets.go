package conformance

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// noDelay: a small frame never waits for the acknowledgement of the last one.
func (s suite) noDelay(t *testing.T) {
	type option struct {
		value int
		err   error
	}
	options := make(chan option, 1)
	a := echoApp()
	a.opened = func(c *runtime.Conn) {
		var o option
		o.value, o.err = unix.GetsockoptInt(c.Fd(), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		options <- o
	}
	v := s.serve(t, runtime.Options{}, a)
	dial(t, v)
	o := await(t, options)
	require.NoError(t, o.err)
	require.NotZero(t, o.value, "TCP_NODELAY of an accepted socket")
}
