//go:build linux

package uring

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestProbeOnThisKernel(t *testing.T) {
	f := Probe()
	require.Same(t, f, Probe(), "probed once")
	var names []string
	for _, x := range f.List() {
		names = append(names, x.Name)
		t.Logf("%-22s %-9s since Linux %-5s %v", x.Name, x.State, x.Since, x.Err)
		require.NotEqual(t, Failed, x.State, x.Name)
		require.Regexp(t, `^[56]\.\d+$`, x.Since)
		if x.State != Present {
			require.Error(t, x.Err, "a feature that is not there must say why")
		}
	}
	require.Contains(t, names, "DEFER_TASKRUN")
	require.Contains(t, names, "OP_ACCEPT")
	require.False(t, f.Has(Feature(127)))
	require.Error(t, f.Require(Feature(127)))
}

// TestOpNumbers ties our names to the library's numbers.
func TestOpNumbers(t *testing.T) {
	for x, number := range map[Feature]uint8{
		OpNop: iosys.IORING_OP_NOP, OpFsync: iosys.IORING_OP_FSYNC, OpPoll: iosys.IORING_OP_POLL_ADD,
		OpSendmsg: iosys.IORING_OP_SENDMSG, OpRecvmsg: iosys.IORING_OP_RECVMSG,
		OpTimeout: iosys.IORING_OP_TIMEOUT, OpAccept: iosys.IORING_OP_ACCEPT,
		OpCancel: iosys.IORING_OP_ASYNC_CANCEL, OpLinkTimeout: iosys.IORING_OP_LINK_TIMEOUT,
		OpConnect: iosys.IORING_OP_CONNECT, OpFallocate: iosys.IORING_OP_FALLOCATE,
		OpOpenat: iosys.IORING_OP_OPENAT, OpClose: iosys.IORING_OP_CLOSE, OpStatx: iosys.IORING_OP_STATX,
		OpRead: iosys.IORING_OP_READ, OpWrite: iosys.IORING_OP_WRITE, OpSend: iosys.IORING_OP_SEND,
		OpRecv: iosys.IORING_OP_RECV, OpSplice: iosys.IORING_OP_SPLICE,
		OpShutdown: iosys.IORING_OP_SHUTDOWN, OpRenameat: iosys.IORING_OP_RENAMEAT,
		OpUnlinkat: iosys.IORING_OP_UNLINKAT, OpMkdirat: iosys.IORING_OP_MKDIRAT,
		OpMsgRing: iosys.IORING_OP_MSG_RING,
	} {
		require.Equal(t, number, uint8(x), x.Name())
	}
	require.Equal(t, "SENDMSG_ZC", ops[iosys.IORING_OP_SENDMSG_ZC].name)
}

// oldKernel plays a kernel that knows only the given setup flags and ops up to last.
func oldKernel(release string, flags uint32, lastOp Feature) *prober {
	p := newProber()
	p.release = func() string { return release }
	p.sysctl = func() string { return "" }
	p.trials = func(*Features) {}
	p.setup = func(entries uint, params *iosys.IOURingParams) (int, error) {
		if params.Flags&^flags != 0 {
			return -1, os.NewSyscallError("iouring_setup", unix.EINVAL)
		}
		params.Features = _IORING_FEAT_EXT_ARG
		return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	p.register = func(_ int, op uint8, arg unsafe.Pointer, _ uint32) error {
		if op != iosys.IORING_REGISTER_PROBE {
			return os.NewSyscallError("iouring_register", unix.EINVAL)
		}
		list := (*ioUringProbe)(arg)
		for i := range lastOp + 1 {
			list.ops[i].flags = _IO_URING_OP_SUPPORTED
		}
		return nil
	}
	return p
}

func TestProbeOfAnOldKernel(t *testing.T) {
	known := iosys.IORING_SETUP_CQSIZE | iosys.IORING_SETUP_CLAMP | iosys.IORING_SETUP_SUBMIT_ALL |
		iosys.IORING_SETUP_COOP_TASKRUN | iosys.IORING_SETUP_TASKRUN_FLAG | _IORING_SETUP_SINGLE_ISSUER
	f := oldKernel("6.0.9", known, OpUnlinkat).probe()
	require.True(t, f.Has(SingleIssuer))
	require.True(t, f.Has(OpUnlinkat))
	require.Equal(t, Missing, f.State(DeferTaskrun))
	require.Equal(t, Missing, f.State(OpMkdirat))
	require.Equal(t, Missing, f.State(BufferRing))
	err := f.Require(append(baseFeatures, OpMkdirat)...)
	require.EqualError(t, err, "uring: Linux 6.0.9 does not do: DEFER_TASKRUN (missing; Linux 6.1 has it); "+
		"OP_MKDIRAT (missing; Linux 5.15 has it)")
	var missing *MissingError
	require.True(t, errors.As(err, &missing))
	require.Len(t, missing.Lacking, 2)
}

func TestProbeThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		errno  unix.Errno
		sysctl string
		state  State
		want   string
	}{
		{unix.ENOSYS, "", Missing, "CONFIG_IO_URING"},
		{unix.EPERM, "2", Forbidden, "io_uring_disabled is 2"},
		{unix.EPERM, "1", Forbidden, "io_uring_group"},
		{unix.EPERM, "0", Forbidden, "seccomp"},
		{unix.EACCES, "", Forbidden, "security module"},
		{unix.ENOMEM, "", Failed, "RLIMIT_MEMLOCK"},
		{unix.EMFILE, "0", Failed, "RLIMIT_NOFILE"},
	} {
		p := oldKernel("6.18.0", 0, 0)
		p.sysctl = func() string { return c.sysctl }
		p.setup = func(uint, *iosys.IOURingParams) (int, error) {
			return -1, os.NewSyscallError("iouring_setup", c.errno)
		}
		f := p.probe()
		require.Equal(t, c.state, f.State(Setup), c.errno)
		require.Equal(t, c.state == Failed, f.anyFailed(), "only a failed probe is repeated")
		err := f.Require(RecvMultishot, Setup)
		require.ErrorIs(t, err, c.errno)
		require.ErrorContains(t, f.Require(Setup), c.want)
		require.ErrorContains(t, f.Require(Setup), c.state.String())
	}
}

// TestProbeUnderSeccomp runs this test binary again under a seccomp filter that refuses
// io_uring_setup, as container profiles do.
func TestProbeUnderSeccomp(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the filter is little endian")
	}
	need(t) // where io_uring is forbidden already, that is what Open says
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), forbiddenEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	if strings.HasPrefix(string(out), "skip") {
		t.Skip(string(out))
	}
	require.Contains(t, string(out), "uring: io_uring is forbidden here")
	require.Contains(t, string(out), "seccomp")
}

const forbiddenEnv = "URING_TEST_FORBIDDEN"

// forbiddenChild forbids itself io_uring_setup and prints what Open says.
func forbiddenChild() {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: iosys.SYS_IO_URING_SETUP, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		os.Stdout.WriteString("skip: no_new_privs: " + err.Error())
		return
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		os.Stdout.WriteString("skip: seccomp: " + errno.Error())
		return
	}
	_, err := Open(Config{})
	if err == nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(err.Error())
}
