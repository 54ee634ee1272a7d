//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

const sysctlDisabled = "/proc/sys/kernel/io_uring_disabled" // 6.6

// prober asks the kernel. Its doors to the kernel are fields so that a test can play
// a kernel that it does not run on.
type prober struct {
	setup    func(entries uint, p *iosys.IOURingParams) (int, error)
	register func(fd int, op uint8, arg unsafe.Pointer, n uint32) error
	trials   func(f *Features)
	sysctl   func() string // content of sysctlDisabled, "" if there is none
	release  func() string
}

func newProber() *prober {
	return &prober{
		setup:    iosys.IOURingSetup,
		register: iosys.IOURingRegister,
		trials:   runTrials,
		sysctl: func() string {
			b, err := os.ReadFile(sysctlDisabled)
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(b))
		},
		release: kernelRelease,
	}
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// probe runs on one thread throughout, for SINGLE_ISSUER's sake.
func (p *prober) probe() *Features {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := &Features{kernel: p.release()}
	var params iosys.IOURingParams
	fd, err := p.setup(2, &params)
	if err != nil {
		state, why := p.explain(err)
		for x := range f.findings {
			f.set(Feature(x), state, why)
		}
		return f
	}
	defer unix.Close(fd)
	f.set(Setup, Present, nil)
	p.featureBits(f, params.Features)
	p.setupFlags(f)
	p.opcodes(f, fd)
	p.registrations(f, fd)
	p.trials(f)
	return f
}

// explain tells what it means that io_uring_setup refused the plainest ring.
func (p *prober) explain(err error) (State, error) {
	sysctl := p.sysctl()
	switch {
	case errors.Is(err, unix.ENOSYS):
		return Missing, fmt.Errorf("%w: the kernel is older than 5.1 or built without CONFIG_IO_URING, "+
			"or a container's seccomp profile hides it (allow io_uring_setup, io_uring_enter, io_uring_register)", err)
	case errors.Is(err, unix.EPERM) && sysctl == "2":
		return Forbidden, fmt.Errorf("%w: sysctl kernel.io_uring_disabled is 2; set it to 0", err)
	case errors.Is(err, unix.EPERM) && sysctl == "1":
		return Forbidden, fmt.Errorf("%w: sysctl kernel.io_uring_disabled is 1; set it to 0, or have "+
			"CAP_SYS_ADMIN or the group named by kernel.io_uring_group", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return Forbidden, fmt.Errorf("%w: a seccomp profile (containers have one) or a security module forbids it; "+
			"allow io_uring_setup, io_uring_enter, io_uring_register", err)
	case errors.Is(err, unix.ENOMEM):
		return Failed, fmt.Errorf("%w: out of memory, or of locked memory (RLIMIT_MEMLOCK) before Linux 5.12", err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return Failed, fmt.Errorf("%w: out of descriptors (RLIMIT_NOFILE, fs.file-max)", err)
	}
	return Failed, err
}

// featureBits reads what io_uring_setup says of itself.
func (p *prober) featureBits(f *Features, bits uint32) {
	for _, x := range []struct {
		feature Feature
		bit     uint32
	}{
		{ExtArg, _IORING_FEAT_EXT_ARG},
		{CQESkip, _IORING_FEAT_CQE_SKIP},
		{RecvSendBundle, _IORING_FEAT_RECVSEND_BUNDLE},
		{MinTimeout, _IORING_FEAT_MIN_TIMEOUT},
	} {
		if bits&x.bit != 0 {
			f.set(x.feature, Present, nil)
		} else {
			f.set(x.feature, Missing, errors.New("io_uring_setup does not report it"))
		}
	}
}

// setupFlags opens a ring with each flag; a kernel that does not know one says EINVAL.
func (p *prober) setupFlags(f *Features) {
	for _, x := range []struct {
		feature Feature
		flags   uint32
	}{
		{CQSize, iosys.IORING_SETUP_CQSIZE},
		{Clamp, iosys.IORING_SETUP_CLAMP},
		{RingDisabled, iosys.IORING_SETUP_R_DISABLED},
		{SubmitAll, iosys.IORING_SETUP_SUBMIT_ALL},
		{TaskrunFlag, iosys.IORING_SETUP_COOP_TASKRUN | iosys.IORING_SETUP_TASKRUN_FLAG},
		{SingleIssuer, _IORING_SETUP_SINGLE_ISSUER},
		{DeferTaskrun, _IORING_SETUP_SINGLE_ISSUER | _IORING_SETUP_DEFER_TASKRUN},
		{NoSQArray, _IORING_SETUP_NO_SQARRAY},
	} {
		params := iosys.IOURingParams{Flags: x.flags, CQEntries: 8}
		fd, err := p.setup(2, &params)
		if err == nil {
			_ = unix.Close(fd) // a fresh ring has nothing to lose
		}
		f.judge(x.feature, err)
	}
}

// opcodes asks REGISTER_PROBE for the ops.
func (p *prober) opcodes(f *Features, fd int) {
	var list ioUringProbe
	err := p.register(fd, iosys.IORING_REGISTER_PROBE, unsafe.Pointer(&list), uint32(len(list.ops)))
	f.judge(RegisterProbe, err)
	for x := range ops {
		switch {
		case err != nil:
			f.set(Feature(x), Unknown, fmt.Errorf("REGISTER_PROBE: %w", err))
		case list.ops[x].flags&_IO_URING_OP_SUPPORTED != 0:
			f.set(Feature(x), Present, nil)
		default:
			f.set(Feature(x), Missing, errors.New("REGISTER_PROBE does not list it"))
		}
	}
}

// registrations tries the io_uring_register calls that we use.
func (p *prober) registrations(f *Features, fd int) {
	files := ioUringRsrcRegister{nr: 1, flags: _IORING_RSRC_REGISTER_SPARSE}
	f.judge(SparseFiles, p.register(fd, _IORING_REGISTER_FILES2, unsafe.Pointer(&files), uint32(unsafe.Sizeof(files))))

	mem, err := mapAnonymous(int(unsafe.Sizeof(ioUringBuf{})))
	if err != nil {
		f.set(BufferRing, Failed, err)
		return
	}
	defer unix.Munmap(mem)
	reg := ioUringBufReg{ringAddr: uint64(uintptr(unsafe.Pointer(&mem[0]))), ringEntries: 1}
	err = p.register(fd, _IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	f.judge(BufferRing, err)
	if err == nil {
		none := ioUringBufReg{}
		_ = p.register(fd, _IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&none), 1) // the ring goes next
	}
	reg.flags = _IOU_PBUF_RING_INC
	f.judge(BufferRingInc, p.register(fd, _IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1))
	p.message(f)
}

// message sends a message to no ring: who knows the call says EBADF.
func (p *prober) message(f *Features) {
	var s SQE
	s.PrepMsgRing(-1, 0, 0)
	err := p.register(-1, _IORING_REGISTER_SEND_MSG, unsafe.Pointer(&s), 1)
	if errors.Is(err, unix.EBADF) {
		err = nil
	}
	f.judge(SyncMessage, err)
}

// judge sets a feature by the error of trying it: EINVAL is how a kernel says that
// it does not know, EPERM and EACCES are someone's will, others say nothing.
func (f *Features) judge(x Feature, err error) {
	switch {
	case err == nil:
		f.set(x, Present, nil)
	case errors.Is(err, unix.EINVAL):
		f.set(x, Missing, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		f.set(x, Forbidden, err)
	default:
		f.set(x, Failed, err)
	}
}
