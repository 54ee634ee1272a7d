package http1

import (
	"bytes"
	"math"
)

// ByteRange is from First to Last, both included.
type ByteRange struct{ First, Last int64 }

// Len is the number of bytes.
func (b ByteRange) Len() int64 { return b.Last - b.First + 1 }

// RangeResult says what came of a Range field.
type RangeResult uint8

const (
	// RangeIgnored: not a list of byte ranges that is well formed, or more than is
	// reasonable: the answer is the whole (RFC 9110, 14.2).
	RangeIgnored RangeResult = iota
	// RangeGiven: there is at least one range.
	RangeGiven
	// RangeOutside: no byte of the content is in any of them.
	RangeOutside
)

// ParseRanges appends to dst the ranges that a Range field asks of content of size
// bytes, those outside left out. More than cap(dst) of them are ignored, as are
// ranges that overlap so much that together they are longer than the content: both
// only cost, and are an old attack (CVE-2011-3192).
func ParseRanges(value []byte, size int64, dst []ByteRange) ([]ByteRange, RangeResult) {
	const unit = "bytes="
	if len(value) <= len(unit) || !equalFold(value[:len(unit)], unit) {
		return dst, RangeIgnored
	}
	value = value[len(unit):]
	some, total := false, int64(0)
	for value != nil {
		var spec []byte
		if i := bytes.IndexByte(value, ','); i >= 0 {
			spec, value = value[:i], value[i+1:]
		} else {
			spec, value = value, nil
		}
		if spec = trim(spec); len(spec) == 0 {
			continue // a list may have empty elements
		}
		r, ok := parseSpec(spec, size)
		if !ok {
			return dst[:0], RangeIgnored
		}
		some = true
		if r.First >= size || r.Len() <= 0 {
			continue
		}
		if total += r.Len(); len(dst) == cap(dst) || total > size {
			return dst[:0], RangeIgnored
		}
		dst = append(dst, r)
	}
	switch {
	case !some:
		return dst, RangeIgnored
	case len(dst) == 0:
		return dst, RangeOutside
	}
	return dst, RangeGiven
}

// parseSpec reads FIRST-LAST, FIRST- or -SUFFIX.
func parseSpec(p []byte, size int64) (r ByteRange, ok bool) {
	dash := bytes.IndexByte(p, '-')
	if dash < 0 {
		return r, false
	}
	first, last := trim(p[:dash]), trim(p[dash+1:])
	if len(first) == 0 {
		n, ok := number(last)
		return ByteRange{max(size-n, 0), size - 1}, ok
	}
	if r.First, ok = number(first); !ok {
		return r, false
	}
	if len(last) == 0 {
		return ByteRange{r.First, size - 1}, true
	}
	if r.Last, ok = number(last); !ok || r.Last < r.First {
		return r, false
	}
	r.Last = min(r.Last, size-1)
	return r, true
}

// number reads decimal digits; what does not fit is the largest number that does.
func number(p []byte) (n int64, ok bool) {
	for _, c := range p {
		if !isDigit(c) {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(p) > 0
}
