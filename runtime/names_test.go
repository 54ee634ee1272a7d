package runtime

import (
	"net/netip"
	"reflect"
	goruntime "runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func yield() { goruntime.Gosched() }

func TestConnIDPacking(t *testing.T) {
	seen := map[ConnID]bool{}
	for _, shard := range []int{0, 1, MaxShards - 1} {
		for _, slot := range []int{0, 1, 1<<slotBits - 1} {
			for _, gen := range []uint32{1, 2, 1<<32 - 1} {
				id := makeConnID(shard, slot, gen)
				require.Equal(t, shard, id.Shard())
				require.Equal(t, slot, id.Slot())
				require.False(t, seen[id])
				require.Zero(t, uint64(id)>>63, "the top bit is the drivers'")
				seen[id] = true
			}
		}
	}
}

// Every bad option is refused, by the name of the setting.
func TestOptionsNameTheSetting(t *testing.T) {
	for name, o := range map[string]Options{
		"Shards": {Shards: MaxShards + 1}, "MaxUnread": {MaxUnread: 1}, "UnreadPolicy": {UnreadPolicy: PolicyDrop},
		"UnsentPolicy": {UnsentPolicy: 9}, "MaxUnsent": {MaxUnsent: -1}, "MaxConns": {MaxConns: 1<<24 + 1}, "MaxInFlight": {MaxInFlight: -1},
		"MailboxSlots": {MailboxSlots: 3}, "MailboxBacklog": {MailboxBacklog: -1}, "RingBuffers": {RingBuffers: 3},
		"TickInterval": {TickInterval: time.Microsecond}, "Helpers": {Helpers: -1}, "Standbys": {Standbys: -1},
		"MaxConnsPerAddr": {MaxConnsPerAddr: -1}, "IdleTimeout": {IdleTimeout: -1}, "LingerTimeout": {LingerTimeout: -1},
		"StallBudget": {StallBudget: -1}, "BlockThreshold": {BlockThreshold: 1}, "Backlog": {Backlog: -1},
	} {
		_, err := New(o, nil)
		require.ErrorIs(t, err, ErrBadOption, name)
		require.ErrorContains(t, err, name)
	}
	v, err := New(Options{}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, v.Options().Shards)
	require.Equal(t, 4<<20, v.Options().MaxUnsent)
}

func TestStatsAddAndEach(t *testing.T) {
	var a, b Stats
	fill := func(st *Stats, base uint64) {
		v := reflect.ValueOf(st).Elem()
		for i := range v.NumField() {
			v.Field(i).SetUint(base + uint64(i))
		}
	}
	fill(&a, 1000)
	fill(&b, 5000)
	a.Add(&b)
	i, names := uint64(0), map[string]bool{}
	a.Each(func(name string, value uint64) {
		want := 6000 + 2*i
		if gaugeMax[name] {
			want = 5000 + i
		}
		require.Equal(t, want, value, name)
		names[name] = true
		i++
	})
	require.Len(t, names, reflect.TypeFor[Stats]().NumField())
	for name := range gaugeMax {
		require.True(t, names[name], "gauge %s is no field", name)
	}
	st := Stats{SysWait: 1, SysRecv: 2, SysSend: 4, SysAccept: 8, SysClose: 16, SysCtl: 32, SysOps: 64, SysEnter: 128}
	require.EqualValues(t, 255, st.SystemCalls())
}

func TestSockaddrAddrPort(t *testing.T) {
	for _, want := range []string{"127.0.0.1:80", "255.1.2.3:65535", "[::1]:8080", "[2001:db8::7]:1"} {
		ap := netip.MustParseAddrPort(want)
		var sa unix.RawSockaddrAny
		b := (*[28]byte)(unsafe.Pointer(&sa))
		b[2], b[3] = byte(ap.Port()>>8), byte(ap.Port())
		if ap.Addr().Is4() {
			sa.Addr.Family = unix.AF_INET
			copy(b[4:], ap.Addr().AsSlice())
		} else {
			sa.Addr.Family = unix.AF_INET6
			copy(b[8:], ap.Addr().AsSlice())
		}
		require.Equal(t, want, SockaddrAddrPort(&sa).String())
	}
	require.False(t, SockaddrAddrPort(&unix.RawSockaddrAny{}).IsValid())
}

func TestNames(t *testing.T) {
	for op := range opCount {
		require.NotEmpty(t, op.String())
	}
	require.Equal(t, "splice", OpSplice.String())
	require.Equal(t, "invalid", opCount.String())
	require.Equal(t, "busy", Busy.String())
	require.Equal(t, "pause", PolicyPause.String())
}
