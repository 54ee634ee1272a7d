package fileserver

import (
	"strconv"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

// conditional answers a request with conditions or ranges, in the order of RFC
// 9110, 13.2.2.
func (v *server) conditional(c *runtime.Conn, r *http1.Request, e *entry, head bool) {
	switch precondition(r, e) {
	case 412:
		v.fail(c, r, 412, false)
		return
	case 304:
		v.begin(304)
		v.validators(e)
		v.end(c, r)
		return
	}
	// An empty file has no range that one could ask for, and clients ask all the same.
	if r.Range == nil || head || e.id.size == 0 || !ifRange(r, e) {
		v.whole(c, r, e, head)
		return
	}
	size := int64(e.id.size)
	switch ranges, result := http1.ParseRanges(r.Range, size, v.ranges[:0]); {
	case result == http1.RangeIgnored:
		v.whole(c, r, e, head)
	case result == http1.RangeOutside:
		v.begin(416)
		v.head = append(v.head, "Content-Range: bytes */"...)
		v.head = strconv.AppendInt(v.head, size, 10)
		v.head = append(v.head, "\r\n"...)
		v.text(c, r, reasons[416], false)
	case len(ranges) == 1:
		v.begin(206)
		v.field("Content-Type", e.kind)
		v.head = appendContentRange(v.head, ranges[0], size)
		v.length(ranges[0].Len())
		v.validators(e)
		v.end(c, r)
		v.body(c, e, ranges[0].First, ranges[0].Len())
	default:
		v.multipart(c, r, e, ranges)
	}
}

// precondition is 412, 304 or 0.
func precondition(r *http1.Request, e *entry) int {
	if r.IfMatch != nil {
		if !http1.Matches(r.IfMatch, e.etag, false) {
			return 412
		}
	} else if r.IfUnmodifiedSince != nil {
		if sec, ok := http1.ParseDate(r.IfUnmodifiedSince); ok && e.mtimeSec() > sec {
			return 412
		}
	}
	if r.IfNoneMatch != nil {
		if http1.Matches(r.IfNoneMatch, e.etag, true) {
			return 304
		}
	} else if r.IfModifiedSince != nil {
		if sec, ok := http1.ParseDate(r.IfModifiedSince); ok && e.mtimeSec() <= sec {
			return 304
		}
	}
	return 0
}

// ifRange reports whether the ranges are of the version that the client has.
func ifRange(r *http1.Request, e *entry) bool {
	switch {
	case r.IfRange == nil:
		return true
	case len(r.IfRange) > 0 && r.IfRange[0] == '"':
		return string(r.IfRange) == string(e.etag)
	}
	sec, ok := http1.ParseDate(r.IfRange)
	return ok && sec == e.mtimeSec()
}

func appendContentRange(dst []byte, b http1.ByteRange, size int64) []byte {
	dst = append(dst, "Content-Range: bytes "...)
	dst = strconv.AppendInt(dst, b.First, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, b.Last, 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, size, 10)
	return append(dst, "\r\n"...)
}

// multipart answers with several ranges (RFC 9110, 14.6).
func (v *server) multipart(c *runtime.Conn, r *http1.Request, e *entry, ranges []http1.ByteRange) {
	size, total := int64(e.id.size), int64(0)
	v.parts = v.parts[:0]
	for i, b := range ranges {
		v.partHeads[i] = len(v.parts)
		v.parts = append(v.parts, "\r\n--"...)
		v.parts = append(v.parts, v.boundary...)
		v.parts = append(v.parts, "\r\nContent-Type: "...)
		v.parts = append(v.parts, e.kind...)
		v.parts = append(v.parts, "\r\n"...)
		v.parts = appendContentRange(v.parts, b, size)
		v.parts = append(v.parts, "\r\n"...)
		total += b.Len()
	}
	v.partHeads[len(ranges)] = len(v.parts)
	v.parts = append(v.parts, "\r\n--"...)
	v.parts = append(v.parts, v.boundary...)
	v.parts = append(v.parts, "--\r\n"...)

	v.begin(206)
	v.head = append(v.head, "Content-Type: multipart/byteranges; boundary="...)
	v.head = append(v.head, v.boundary...)
	v.head = append(v.head, "\r\n"...)
	v.length(int64(len(v.parts)) + total)
	v.validators(e)
	v.end(c, r)
	for i, b := range ranges {
		_ = c.Write(v.parts[v.partHeads[i]:v.partHeads[i+1]])
		v.body(c, e, b.First, b.Len())
	}
	_ = c.Write(v.parts[v.partHeads[len(ranges)]:])
}
