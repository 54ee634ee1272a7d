//go:build linux

package uring

// Feature names one thing that a kernel's io_uring may or may not have: an op (the
// kernel's IORING_OP_ number, so Feature(13) is accept), or one of the constants
// below.
type Feature uint8

// What there is besides the ops.
const (
	// Setup is io_uring at all.
	Setup Feature = iota + firstNonOp
	// RegisterProbe lists the ops a kernel has.
	RegisterProbe
	// CQSize lets the caller size the completion queue.
	CQSize
	// Clamp has the kernel cut sizes down instead of refusing them.
	Clamp
	// RingDisabled lets a ring be opened on one thread and enabled on another.
	RingDisabled
	// ExtArg is the timed enter.
	ExtArg
	// PollMultishot is PrepPollMultishot.
	PollMultishot
	// CQESkip is SkipSuccess.
	CQESkip
	// SubmitAll has a submit go on after an entry that fails.
	SubmitAll
	// TaskrunFlag tells without a system call whether the kernel has work to run.
	TaskrunFlag
	// AcceptMultishot is PrepAcceptMultishot.
	AcceptMultishot
	// CancelFd is PrepCancelFd.
	CancelFd
	// PollFirst is SQE.PollFirst.
	PollFirst
	// SparseFiles is RegisterFiles.
	SparseFiles
	// BufferRing is NewBufRing.
	BufferRing
	// SingleIssuer binds a ring to one thread.
	SingleIssuer
	// RecvMultishot is PrepRecvMultishot.
	RecvMultishot
	// DeferTaskrun runs the kernel's completion work only inside our own enters.
	DeferTaskrun
	// MsgRingFlags marks the completions of PrepMsgRing.
	MsgRingFlags
	// NoSQArray spares the kernel one indirection per entry.
	NoSQArray
	// RecvSendBundle lets one recv or send use several buffers.
	RecvSendBundle
	// MinTimeout is the gathering wait of SubmitAndGather.
	MinTimeout
	// BufferRingInc is BufferConfig.Incremental.
	BufferRingInc
	// SyncMessage is Message.
	SyncMessage

	featureCount
)

const firstNonOp = 128

// Ops by name, for Require. The numbers are the kernel's.
const (
	OpNop         Feature = 0
	OpFsync       Feature = 3
	OpPoll        Feature = 6
	OpSendmsg     Feature = 9
	OpRecvmsg     Feature = 10
	OpTimeout     Feature = 11
	OpAccept      Feature = 13
	OpCancel      Feature = 14
	OpLinkTimeout Feature = 15
	OpConnect     Feature = 16
	OpFallocate   Feature = 17
	OpOpenat      Feature = 18
	OpClose       Feature = 19
	OpStatx       Feature = 21
	OpRead        Feature = 22
	OpWrite       Feature = 23
	OpSend        Feature = 26
	OpRecv        Feature = 27
	OpSplice      Feature = 30
	OpShutdown    Feature = 34
	OpRenameat    Feature = 35
	OpUnlinkat    Feature = 36
	OpMkdirat     Feature = 37
	OpMsgRing     Feature = 40
	OpFdInstall   Feature = 54
)

// baseFeatures are what Open itself cannot do without.
var baseFeatures = []Feature{Setup, CQSize, Clamp, ExtArg, SubmitAll, TaskrunFlag, SingleIssuer, DeferTaskrun}

// kernelName is a feature's name in the kernel's headers (or, where it has none, in
// liburing's manual pages) and the first Linux that has it.
type kernelName struct{ name, since string }

// ops is indexed by opcode. Source: io_uring_enter(2) and the kernel's history.
var ops = []kernelName{
	{"NOP", "5.1"}, {"READV", "5.1"}, {"WRITEV", "5.1"}, {"FSYNC", "5.1"}, {"READ_FIXED", "5.1"},
	{"WRITE_FIXED", "5.1"}, {"POLL_ADD", "5.1"}, {"POLL_REMOVE", "5.1"}, {"SYNC_FILE_RANGE", "5.2"},
	{"SENDMSG", "5.3"}, {"RECVMSG", "5.3"}, {"TIMEOUT", "5.4"}, {"TIMEOUT_REMOVE", "5.5"},
	{"ACCEPT", "5.5"}, {"ASYNC_CANCEL", "5.5"}, {"LINK_TIMEOUT", "5.5"}, {"CONNECT", "5.5"},
	{"FALLOCATE", "5.6"}, {"OPENAT", "5.6"}, {"CLOSE", "5.6"}, {"FILES_UPDATE", "5.6"},
	{"STATX", "5.6"}, {"READ", "5.6"}, {"WRITE", "5.6"}, {"FADVISE", "5.6"}, {"MADVISE", "5.6"},
	{"SEND", "5.6"}, {"RECV", "5.6"}, {"OPENAT2", "5.6"}, {"EPOLL_CTL", "5.6"}, {"SPLICE", "5.7"},
	{"PROVIDE_BUFFERS", "5.7"}, {"REMOVE_BUFFERS", "5.7"}, {"TEE", "5.8"}, {"SHUTDOWN", "5.11"},
	{"RENAMEAT", "5.11"}, {"UNLINKAT", "5.11"}, {"MKDIRAT", "5.15"}, {"SYMLINKAT", "5.15"},
	{"LINKAT", "5.15"}, {"MSG_RING", "5.18"}, {"FSETXATTR", "5.19"}, {"SETXATTR", "5.19"},
	{"FGETXATTR", "5.19"}, {"GETXATTR", "5.19"}, {"SOCKET", "5.19"}, {"URING_CMD", "5.19"},
	{"SEND_ZC", "6.0"}, {"SENDMSG_ZC", "6.1"}, {"READ_MULTISHOT", "6.7"}, {"WAITID", "6.7"},
	{"FUTEX_WAIT", "6.7"}, {"FUTEX_WAKE", "6.7"}, {"FUTEX_WAITV", "6.7"},
	{"FIXED_FD_INSTALL", "6.8"}, {"FTRUNCATE", "6.9"}, {"BIND", "6.11"}, {"LISTEN", "6.11"},
	{"RECV_ZC", "6.15"}, {"EPOLL_WAIT", "6.15"}, {"READV_FIXED", "6.15"}, {"WRITEV_FIXED", "6.15"},
	{"PIPE", "6.16"},
}

// nonOps is indexed by Feature less firstNonOp.
var nonOps = [featureCount - firstNonOp]kernelName{
	Setup - firstNonOp:           {"io_uring_setup", "5.1"},
	RegisterProbe - firstNonOp:   {"REGISTER_PROBE", "5.6"},
	CQSize - firstNonOp:          {"SETUP_CQSIZE", "5.5"},
	Clamp - firstNonOp:           {"SETUP_CLAMP", "5.6"},
	RingDisabled - firstNonOp:    {"SETUP_R_DISABLED", "5.10"},
	ExtArg - firstNonOp:          {"EXT_ARG", "5.11"},
	PollMultishot - firstNonOp:   {"multishot poll", "5.13"},
	CQESkip - firstNonOp:         {"CQE_SKIP", "5.17"},
	SubmitAll - firstNonOp:       {"SUBMIT_ALL", "5.18"},
	TaskrunFlag - firstNonOp:     {"TASKRUN_FLAG", "5.19"},
	AcceptMultishot - firstNonOp: {"multishot accept", "5.19"},
	CancelFd - firstNonOp:        {"ASYNC_CANCEL_FD", "5.19"},
	PollFirst - firstNonOp:       {"POLL_FIRST", "5.19"},
	SparseFiles - firstNonOp:     {"RSRC_REGISTER_SPARSE", "5.19"},
	BufferRing - firstNonOp:      {"PBUF_RING", "5.19"},
	SingleIssuer - firstNonOp:    {"SINGLE_ISSUER", "6.0"},
	RecvMultishot - firstNonOp:   {"multishot recv", "6.0"},
	DeferTaskrun - firstNonOp:    {"DEFER_TASKRUN", "6.1"},
	MsgRingFlags - firstNonOp:    {"MSG_RING_FLAGS_PASS", "6.3"},
	NoSQArray - firstNonOp:       {"NO_SQARRAY", "6.6"},
	RecvSendBundle - firstNonOp:  {"RECVSEND_BUNDLE", "6.10"},
	MinTimeout - firstNonOp:      {"MIN_TIMEOUT", "6.12"},
	BufferRingInc - firstNonOp:   {"PBUF_RING_INC", "6.12"},
	SyncMessage - firstNonOp:     {"REGISTER_SEND_MSG_RING", "6.13"},
}

// known says that f is in one of the tables.
func (f Feature) known() bool {
	return int(f) < len(ops) || f >= firstNonOp && f < featureCount
}

// Name is what the kernel's headers call the feature; an op's starts with "OP_".
func (f Feature) Name() string {
	switch {
	case int(f) < len(ops):
		return "OP_" + ops[f].name
	case f.known():
		return nonOps[f-firstNonOp].name
	}
	return "unknown feature"
}

// Since is the first Linux version that has it, such as "6.1".
func (f Feature) Since() string {
	switch {
	case int(f) < len(ops):
		return ops[f].since
	case f.known():
		return nonOps[f-firstNonOp].since
	}
	return "?"
}
