package load

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// RequestTime is one request of the window: nanoseconds since the window's begin.
type RequestTime struct {
	IntendedNs, SentNs int64
	// ReceivedNs is below SentNs if there was no answer.
	ReceivedNs int64
	Conn       int32
	// Kind is an index into the script's kinds.
	Kind int32
}

// noAnswer stands for the time of an answer that did not come.
const noAnswer = -1 << 62

// requestLog keeps them while the run goes on, in memory made before it: nothing is
// written in the meantime. What does not fit is counted.
type requestLog struct {
	kept    []RequestTime
	leftOut int64
}

func newRequestLog(most int) *requestLog {
	if most == 0 {
		return nil
	}
	r := &requestLog{kept: make([]RequestTime, most)}
	for i := range r.kept {
		r.kept[i].Conn = -1 // touches the pages before time counts
	}
	r.kept = r.kept[:0]
	return r
}

// add keeps a request on the run's clock; receivedNs 0 is no answer.
func (r *requestLog) add(c *conn, s *slot, receivedNs int64) {
	if len(r.kept) == cap(r.kept) {
		r.leftOut++
		return
	}
	if receivedNs == 0 {
		receivedNs = noAnswer
	}
	r.kept = append(r.kept, RequestTime{s.intendedNs, s.sentNs, receivedNs, c.index, s.kind})
}

// RequestsReport are the requests of the window one by one, in the order of their
// intended times. Those that were held back to the end were never sent and are not here.
type RequestsReport struct {
	Kept []RequestTime `json:"-"`
	// LeftOut had no room (Config.Requests).
	LeftOut int64 `json:"left_out"`
	Count   int   `json:"count"`
	kinds   []string
}

// gatherRequests puts the logs of all threads together.
func gatherRequests(loops []*loop, kinds []string) *RequestsReport {
	if loops[0].requests == nil {
		return nil
	}
	r := &RequestsReport{kinds: kinds}
	from := loops[0].fromNs
	for _, l := range loops {
		for _, t := range l.requests.kept {
			t.IntendedNs -= from
			t.SentNs -= from
			if t.ReceivedNs != noAnswer {
				t.ReceivedNs -= from
			}
			r.Kept = append(r.Kept, t)
		}
		r.LeftOut += l.requests.leftOut
	}
	slices.SortFunc(r.Kept, func(a, b RequestTime) int {
		return int(min(1, max(-1, a.IntendedNs-b.IntendedNs)))
	})
	r.Count = len(r.Kept)
	return r
}

// RequestsHeader is the first line of WriteCSV. Times are nanoseconds since the begin
// of the window; received_ns is empty if there was no answer.
const RequestsHeader = "intended_ns,sent_ns,received_ns,connection,kind"

// WriteCSV writes them, a line each, behind RequestsHeader.
func (r *RequestsReport) WriteCSV(to io.Writer) error {
	w := bufio.NewWriterSize(to, 1<<20)
	fmt.Fprintln(w, RequestsHeader)
	var line []byte
	for _, t := range r.Kept {
		line = strconv.AppendInt(line[:0], t.IntendedNs, 10)
		line = strconv.AppendInt(append(line, ','), t.SentNs, 10)
		line = append(line, ',')
		if t.ReceivedNs != noAnswer {
			line = strconv.AppendInt(line, t.ReceivedNs, 10)
		}
		line = strconv.AppendInt(append(line, ','), int64(t.Conn), 10)
		line = append(append(line, ','), r.kinds[t.Kind]...)
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
