package fileserver

import (
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

// reasons of the status codes that are used.
var reasons = map[int]string{
	200: "OK", 206: "Partial Content", 301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request", 403: "Forbidden",
	404: "Not Found", 405: "Method Not Allowed", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long",
	416: "Range Not Satisfiable", 417: "Expectation Failed", 431: "Request Header Fields Too Large",
	500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable", 505: "HTTP Version Not Supported",
}

// statusOf is the answer to a head that was refused.
func statusOf(err error) int {
	switch err {
	case http1.ErrTargetTooLong:
		return 414
	case http1.ErrHeadTooLarge:
		return 431
	case http1.ErrCoding:
		return 501
	case http1.ErrVersion:
		return 505
	}
	return 400
}

// refusedMethod: one that is known is not allowed, another not implemented.
func refusedMethod(m []byte) int {
	switch string(m) {
	case "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return 405
	}
	return 501
}

func is100Continue(expect []byte) bool {
	const want = "100-continue"
	if len(expect) != len(want) {
		return false
	}
	for i, c := range expect {
		if c|0x20 != want[i]|0x20 {
			return false
		}
	}
	return true
}
