package http1

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		sec := rng.Int64N(253402300800) // to the year 9999
		text := time.Unix(sec, 0).UTC().Format(http.TimeFormat)
		require.Equal(t, text, string(AppendDate(nil, sec)))
		got, ok := ParseDate([]byte(text))
		require.True(t, ok)
		require.Equal(t, sec, got)
	}
	at := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC).Unix()
	for _, text := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"} {
		got, ok := ParseDate([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, at, got, text)
	}
	for _, text := range []string{"", "x", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT"} {
		_, ok := ParseDate([]byte(text))
		require.False(t, ok, text)
	}
	var buf [DateBytes]byte
	require.Zero(t, testing.AllocsPerRun(10, func() { ParseDate(AppendDate(buf[:0], at)) }))
}

func TestRanges(t *testing.T) {
	type want struct {
		result RangeResult
		ranges []ByteRange
	}
	given := func(r ...ByteRange) want { return want{RangeGiven, r} }
	ignored, outside := want{RangeIgnored, nil}, want{RangeOutside, nil}
	for value, w := range map[string]want{
		"bytes=0-0":                    given(ByteRange{0, 0}),
		"Bytes=10-19":                  given(ByteRange{10, 19}),
		"bytes=90-":                    given(ByteRange{90, 99}),
		"bytes=-10":                    given(ByteRange{90, 99}),
		"bytes=-1000":                  given(ByteRange{0, 99}),
		"bytes=95-1000":                given(ByteRange{95, 99}),
		"bytes= 0-1 ,, 5-6,\t-1":       given(ByteRange{0, 1}, ByteRange{5, 6}, ByteRange{99, 99}),
		"bytes=200-,0-1":               given(ByteRange{0, 1}),
		"bytes=100-":                   outside,
		"bytes=-0":                     outside,
		"bytes=100-200,300-":           outside,
		"bytes=99999999999999999999-":  outside,
		"bytes=0-99999999999999999999": given(ByteRange{0, 99}),
		"bytes=":                       ignored,
		"bytes=,":                      ignored,
		"bytes":                        ignored,
		"bytes=5-4":                    ignored,
		"bytes=a-b":                    ignored,
		"bytes=-":                      ignored,
		"bytes=1":                      ignored,
		"bytes=0-1,x":                  ignored,
		"bytes=--1":                    ignored,
		"items=0-1":                    ignored,
		"bytes=0-99,0-99":              ignored, // longer than the whole
		"bytes=0-0,1-1,2-2,3-3,4-4":    ignored, // too many
	} {
		var room [4]ByteRange
		got, result := ParseRanges([]byte(value), 100, room[:0])
		require.Equal(t, w.result, result, value)
		require.Len(t, got, len(w.ranges), value)
		for i := range got {
			require.Equal(t, w.ranges[i], got[i], value)
		}
	}
	var room [4]ByteRange
	_, result := ParseRanges([]byte("bytes=0-"), 0, room[:0])
	require.Equal(t, RangeOutside, result)
	_, result = ParseRanges([]byte("bytes=-5"), 0, room[:0])
	require.Equal(t, RangeOutside, result)
}

func TestMatches(t *testing.T) {
	etag := []byte(`"a-1"`)
	for list, want := range map[string][2]bool{ // strong, weak
		`*`:                  {true, true},
		`"a-1"`:              {true, true},
		`W/"a-1"`:            {false, true},
		` "x" , "a-1"`:       {true, true},
		`"x",W/"y",,W/"a-1"`: {false, true},
		`"x"`:                {false, false},
		`a-1`:                {false, false},
		`"a-1`:               {false, false},
		``:                   {false, false},
		`"a,"a-1"`:           {false, false},
		`*,`:                 {false, false},
	} {
		require.Equal(t, want[0], Matches([]byte(list), etag, false), "strong %s", list)
		require.Equal(t, want[1], Matches([]byte(list), etag, true), "weak %s", list)
	}
}
