package fileserver

import (
	"strconv"
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

// copyMax is the size of a body in bytes up to which it lies behind its head, to be
// copied with it. A larger one is queued as a block.
const copyMax = 2 << 10

// date is the time of day in the form of a Date field, by the second.
type date struct {
	text    [http1.DateBytes]byte
	sec     int64
	untilNs int64 // of the shard's clock
}

// now reads the system's clock once a second: it may be set meanwhile.
func (d *date) now(nowNs int64) []byte {
	if nowNs >= d.untilNs {
		t := time.Now()
		d.sec = t.Unix()
		http1.AppendDate(d.text[:0], d.sec)
		d.untilNs = nowNs + int64(time.Second) - int64(t.Nanosecond())
	}
	return d.text[:]
}

// begin starts a head in v.head, up to the date.
func (v *server) begin(status int) {
	v.head = append(v.head[:0], "HTTP/1.1 "...)
	v.head = strconv.AppendInt(v.head, int64(status), 10)
	v.head = append(v.head, ' ')
	v.head = append(v.head, reasons[status]...)
	v.head = append(v.head, "\r\nServer: syslet\r\nDate: "...)
	v.head = append(v.head, v.date.now(v.shard.NowNs())...)
	v.head = append(v.head, "\r\n"...)
}

func (v *server) field(name, value string) {
	v.head = append(v.head, name...)
	v.head = append(v.head, ": "...)
	v.head = append(v.head, value...)
	v.head = append(v.head, "\r\n"...)
}

func (v *server) length(n int64) {
	v.head = append(v.head, "Content-Length: "...)
	v.head = strconv.AppendInt(v.head, n, 10)
	v.head = append(v.head, "\r\n"...)
}

// connection says what becomes of the connection, if the version does not.
func (v *server) connection(r *http1.Request) {
	switch {
	case r.Close:
		v.head = append(v.head, "Connection: close\r\n"...)
	case r.Minor == 0:
		v.head = append(v.head, "Connection: keep-alive\r\n"...)
	}
}

// validators are the fields that name a version of a file.
func (v *server) validators(e *entry) {
	v.head = append(v.head, "Last-Modified: "...)
	v.head = http1.AppendDate(v.head, e.mtimeSec())
	v.head = append(v.head, "\r\nETag: "...)
	v.head = append(v.head, e.etag...)
	v.head = append(v.head, "\r\nAccept-Ranges: bytes\r\n"...)
}

func appendETag(dst []byte, id identity) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, id.mtimeNs, 36)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, id.size, 36)
	return append(dst, '"')
}

// usual makes the answer that most requests get.
func (v *server) usual(e *entry) {
	v.begin(200)
	e.dateAt = len(v.head) - len("\r\n") - http1.DateBytes
	e.dateSec = v.date.sec
	v.field("Content-Type", e.kind)
	v.length(int64(e.id.size))
	v.validators(e)
	v.head = append(v.head, "\r\n"...)
	e.headLen = len(v.head)
	e.answer = append(e.answer[:0], v.head...)
	if e.body != nil && e.body.Len() <= copyMax {
		e.answer = append(e.answer, e.body.Bytes()...)
	}
}

// respond answers r with what is known of its path.
func (v *server) respond(c *runtime.Conn, r *http1.Request, e *entry, head bool) {
	switch {
	case e.status == 301:
		v.redirect(c, r, e, head)
		return
	case e.status != 200:
		v.fail(c, r, e.status, false)
		return
	}
	if r.IfMatch != nil || r.IfNoneMatch != nil || r.IfModifiedSince != nil || r.IfUnmodifiedSince != nil || r.Range != nil {
		v.conditional(c, r, e, head)
		return
	}
	v.whole(c, r, e, head)
}

// whole answers with all of the file. A write that fails has ended the connection.
func (v *server) whole(c *runtime.Conn, r *http1.Request, e *entry, head bool) {
	size := int64(e.id.size)
	if r.Close || r.Minor == 0 {
		v.begin(200)
		v.field("Content-Type", e.kind)
		v.length(size)
		v.validators(e)
		v.end(c, r)
		if !head {
			v.body(c, e, 0, size)
		}
		return
	}
	now := v.date.now(v.shard.NowNs())
	if e.dateSec != v.date.sec {
		copy(e.answer[e.dateAt:], now)
		e.dateSec = v.date.sec
	}
	if head {
		_ = c.Write(e.answer[:e.headLen])
		return
	}
	_ = c.Write(e.answer)
	if len(e.answer) == e.headLen {
		v.body(c, e, 0, size)
	}
}

// end sends the head.
func (v *server) end(c *runtime.Conn, r *http1.Request) {
	v.connection(r)
	v.head = append(v.head, "\r\n"...)
	_ = c.Write(v.head)
}

// body sends n bytes of the file from off.
func (v *server) body(c *runtime.Conn, e *entry, off, n int64) {
	switch {
	case e.body == nil:
		_ = c.WriteFile(e.file, off, n)
	case n == int64(e.body.Len()):
		_ = c.WriteBlock(e.body)
	default:
		_ = c.Write(e.body.Bytes()[off : off+n])
	}
}

// fail answers with an error and, if so, the end of the connection.
func (v *server) fail(c *runtime.Conn, r *http1.Request, status int, ends bool) {
	r.Close = r.Close || ends
	v.begin(status)
	if status == 405 {
		v.field("Allow", "GET, HEAD")
	}
	v.text(c, r, reasons[status], string(r.Method) == "HEAD")
}

// text ends a head with a line of text for those who look.
func (v *server) text(c *runtime.Conn, r *http1.Request, line string, head bool) {
	v.field("Content-Type", "text/plain; charset=utf-8")
	v.length(int64(len(line) + 1))
	v.connection(r)
	v.head = append(v.head, "\r\n"...)
	if !head {
		v.head = append(v.head, line...)
		v.head = append(v.head, '\n')
	}
	_ = c.Write(v.head)
}

// redirect sends a client to the folder. The path has one slash in front: two would
// name another server.
func (v *server) redirect(c *runtime.Conn, r *http1.Request, e *entry, head bool) {
	v.begin(301)
	v.head = append(v.head, "Location: "...)
	v.head = appendEscaped(v.head, []byte(e.key))
	v.head = append(v.head, '/')
	if r.Query != nil {
		v.head = append(v.head, '?')
		v.head = append(v.head, r.Query...)
	}
	v.head = append(v.head, "\r\n"...)
	v.text(c, r, reasons[301], head)
}
