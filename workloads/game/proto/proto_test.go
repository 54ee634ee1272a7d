package proto_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/workloads/game/proto"
)

// The bytes that the package comment describes, written down by hand.
var requestBytes = []struct {
	hex string
	r   proto.Request
}{
	{"01 07 03 02 616e6e 7878", proto.Request{Type: proto.Login, Tag: 7, Name: []byte("ann"), Data: []byte("xx")}},
	{"02 ff 03", proto.Request{Type: proto.Move, Tag: 255, Dir: 3}},
	{"03 00 00 02 6869", proto.Request{Type: proto.Chat, Name: []byte{}, Data: []byte("hi")}},
	{"03 01 03 01 626f62 21", proto.Request{Type: proto.Chat, Tag: 1, Name: []byte("bob"), Data: []byte("!")}},
	{"04 02", proto.Request{Type: proto.Ping, Tag: 2}},
	{"05 03", proto.Request{Type: proto.Save, Tag: 3}},
	{"06 04", proto.Request{Type: proto.Logout, Tag: 4}},
	{"07 05", proto.Request{Type: proto.Ranking, Tag: 5}},
}

var eventBytes = []struct {
	hex string
	e   proto.Event
}{
	{"81 07 01 0201 05 06", proto.Event{Type: proto.Welcome, Tag: 7, Flags: 1, Map: 0x102, X: 5, Y: 6}},
	{"82 08 02 0300 fe ff", proto.Event{Type: proto.Moved, Tag: 8, Flags: 2, Map: 3, X: 254, Y: 255}},
	{"83 09", proto.Event{Type: proto.Chatted, Tag: 9}},
	{"84 0a", proto.Event{Type: proto.Pong, Tag: 10}},
	{"85 0b", proto.Event{Type: proto.Saved, Tag: 11}},
	{"86 0c", proto.Event{Type: proto.Bye, Tag: 12}},
	{"87 0d 06", proto.Event{Type: proto.Refused, Tag: 13, Code: proto.CodeBadToken}},
	{"88 0e 0000", proto.Event{Type: proto.Ranked, Tag: 14, Data: []byte{}}},
	{"88 0e 0700 04030201 02 616e", proto.Event{Type: proto.Ranked, Tag: 14, Data: []byte{4, 3, 2, 1, 2, 'a', 'n'}}},
	{"90 01 0200 04030201 0500 02 0700 08 09", proto.Event{Type: proto.View, Flags: 1, Map: 2, Tick: 0x01020304, Data: []byte{2, 7, 0, 8, 9}}},
	{"91 01 03 02 616e6e 6869", proto.Event{Type: proto.Heard, Flags: 1, Name: []byte("ann"), Data: []byte("hi")}},
	{"92 0a", proto.Event{Type: proto.Kicked, Code: proto.CodeTakenOver}},
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	require.NoError(t, err)
	return b
}

func TestFramesAreAsTheCommentSays(t *testing.T) {
	for _, c := range requestBytes {
		want := unhex(t, c.hex)
		require.Equal(t, want, c.r.Append(nil))
		var r proto.Request
		n, err := r.Parse(append(want, 0xAA))
		require.NoError(t, err)
		require.Equal(t, len(want), n)
		require.Equal(t, c.r, r)
		for cut := range want {
			n, err := new(proto.Request).Parse(want[:cut])
			require.NoError(t, err, "%s cut to %d", c.hex, cut)
			require.Zero(t, n)
		}
	}
	for _, c := range eventBytes {
		want := unhex(t, c.hex)
		require.Equal(t, want, c.e.Append(nil))
		var e proto.Event
		n, err := e.Parse(append(want, 0xAA))
		require.NoError(t, err)
		require.Equal(t, len(want), n)
		require.Equal(t, c.e, e)
		for cut := range want {
			n, err := new(proto.Event).Parse(want[:cut])
			require.NoError(t, err, "%s cut to %d", c.hex, cut)
			require.Zero(t, n)
		}
	}
}

// Malformed frames are known as such at the first byte that says so.
func TestMalformedAtTheEarliest(t *testing.T) {
	for _, s := range []string{"00", "08", "81", "ff", "02 01 04", "01 00 00", "01 00 19", "01 00 01 00", "01 00 01 41", "03 00 19", "03 00 00 00", "03 00 00 c9"} {
		p := unhex(t, s)
		_, err := new(proto.Request).Parse(p)
		require.Error(t, err, s)
		_, err = new(proto.Request).Parse(p[:len(p)-1])
		require.NoError(t, err, s)
	}
	for _, s := range []string{"00", "01", "89", "93", "88 00 23 01", "91 00 00", "91 00 19", "91 00 01 00", "91 00 01 c9"} {
		p := unhex(t, s)
		_, err := new(proto.Event).Parse(p)
		require.Error(t, err, s)
		_, err = new(proto.Event).Parse(p[:len(p)-1])
		require.NoError(t, err, s)
	}
}

func TestEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []proto.Entry
		data := proto.AppendViewHead([]byte("before"), proto.FlagReset, 9, 77)
		start := len(data)
		for range rapid.IntRange(0, 50).Draw(t, "entries") {
			e := proto.Entry{Kind: proto.EntryKind(rapid.IntRange(1, 3).Draw(t, "kind")), ID: rapid.Uint16().Draw(t, "id")}
			if e.Kind != proto.EntryLeft {
				e.X, e.Y = rapid.Uint8().Draw(t, "x"), rapid.Uint8().Draw(t, "y")
			}
			if e.Kind == proto.EntryEntered {
				e.Name = rapid.SliceOfN(rapid.Byte(), 1, proto.MaxName).Draw(t, "name")
			}
			want = append(want, e)
			data = e.Append(data)
		}
		data = proto.EndView(data, start)
		var v proto.Event
		n, err := v.Parse(data[len("before"):])
		require.NoError(t, err)
		require.Equal(t, len(data)-len("before"), n)
		require.EqualValues(t, 77, v.Tick)
		for _, w := range want {
			var e proto.Entry
			n, err := e.Parse(v.Data)
			require.NoError(t, err)
			require.Equal(t, w, e)
			v.Data = v.Data[n:]
		}
		require.Empty(t, v.Data)
	})
}

func TestRanks(t *testing.T) {
	data := proto.AppendRank(proto.AppendRank(nil, "ann", 1<<40), "b", 7)
	var r proto.Rank
	n, err := r.Parse(data)
	require.NoError(t, err)
	require.Equal(t, proto.Rank{Points: 1<<32 - 1, Name: []byte("ann")}, r)
	m, err := r.Parse(data[n:])
	require.NoError(t, err)
	require.Equal(t, proto.Rank{Points: 7, Name: []byte("b")}, r)
	require.Len(t, data, n+m)
	for _, bad := range []string{"", "01 00 00 00", "01 00 00 00 00", "01 00 00 00 02 61", "01 00 00 00 19"} {
		_, err := r.Parse(unhex(t, bad))
		require.Error(t, err, bad)
	}
	var all []byte
	for range proto.MaxRanks {
		all = proto.AppendRank(all, "abcdefghijklmnopqrstuvwx", 1)
	}
	e := proto.Event{Type: proto.Ranked, Data: all}
	frame := e.Append(nil)
	n, err = e.Parse(frame)
	require.NoError(t, err)
	require.Equal(t, len(frame), n, "the longest is within the limit")
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"a", "Z", "0", "_-", "abcdefghijklmnopqrstuvwx"} {
		require.True(t, proto.ValidName(s), s)
	}
	for _, s := range []string{"", "a b", "a/b", "..", "a\x00", "é", "@", "[", "`", "{", "abcdefghijklmnopqrstuvwxy"} {
		require.False(t, proto.ValidName(s), s)
	}
}

// What parses is a frame that appending gives again; and reading byte by byte, or
// with more behind it, gives the same.
func FuzzRequest(f *testing.F) {
	for _, c := range requestBytes {
		f.Add(c.r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var r proto.Request
		n, err := r.Parse(p)
		if err != nil || n == 0 {
			require.Zero(t, n)
			require.True(t, err != nil || len(p) < proto.MaxRequest, "a frame's worth of bytes and no verdict")
			return
		}
		require.Equal(t, p[:n], r.Append(nil))
		for cut := range n {
			k, err := new(proto.Request).Parse(p[:cut])
			require.NoError(t, err)
			require.Zero(t, k)
		}
	})
}

func FuzzEvent(f *testing.F) {
	for _, c := range eventBytes {
		f.Add(c.e.Append(nil))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var e proto.Event
		n, err := e.Parse(p)
		if err != nil || n == 0 {
			require.Zero(t, n)
			require.True(t, err != nil || len(p) < proto.MaxEvent, "a frame's worth of bytes and no verdict")
			return
		}
		require.Equal(t, p[:n], e.Append(nil))
		for d := e.Data; e.Type == proto.View && len(d) > 0; {
			var en proto.Entry
			k, err := en.Parse(d)
			if err != nil {
				break
			}
			require.Equal(t, d[:k], en.Append(nil))
			d = d[k:]
		}
	})
}

func TestNoAllocations(t *testing.T) {
	buf := make([]byte, 0, 1024)
	frames := []byte{}
	for _, c := range requestBytes {
		frames = c.r.Append(frames)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var r proto.Request
		buf = buf[:0]
		for p := frames; len(p) > 0; {
			n, err := r.Parse(p)
			if n == 0 || err != nil {
				panic("no frame")
			}
			buf, p = r.Append(buf), p[n:]
		}
	}))
	events, bad := []byte{}, []byte{0xFF}
	for _, c := range eventBytes {
		events = c.e.Append(events)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var e proto.Event
		buf = buf[:0]
		for p := events; len(p) > 0; {
			n, err := e.Parse(p)
			if n == 0 || err != nil {
				panic("no frame")
			}
			buf, p = e.Append(buf), p[n:]
		}
		if _, err := e.Parse(bad); err == nil {
			panic("not malformed")
		}
	}))
}

func BenchmarkMove(b *testing.B) {
	b.ReportAllocs()
	move := []byte{2, 1, 3}
	buf := make([]byte, 0, 64)
	var r proto.Request
	for b.Loop() {
		_, _ = r.Parse(move)
		e := proto.Event{Type: proto.Moved, Tag: r.Tag, Map: 1, X: 2, Y: 3}
		buf = e.Append(buf[:0])
	}
}

func BenchmarkPing(b *testing.B) {
	b.ReportAllocs()
	ping := []byte{4, 1}
	buf := make([]byte, 0, 64)
	var r proto.Request
	for b.Loop() {
		_, _ = r.Parse(ping)
		e := proto.Event{Type: proto.Pong, Tag: r.Tag}
		buf = e.Append(buf[:0])
	}
}
