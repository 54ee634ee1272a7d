package http1

import "bytes"

// Matches reports whether an If-Match or If-None-Match field names etag, which is
// a strong one with its quotes. "*" names any. weak: W/ does not matter
// (If-None-Match, RFC 9110, 8.8.3.2).
func Matches(list, etag []byte, weak bool) bool {
	if string(list) == "*" {
		return true
	}
	for {
		list = trim(list)
		for len(list) > 0 && list[0] == ',' {
			list = trim(list[1:])
		}
		if len(list) == 0 {
			return false
		}
		isWeak := len(list) > 1 && list[0] == 'W' && list[1] == '/'
		if isWeak {
			list = list[2:]
		}
		if len(list) == 0 || list[0] != '"' {
			return false
		}
		end := bytes.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if (weak || !isWeak) && bytes.Equal(list[:end+2], etag) {
			return true
		}
		list = list[end+2:]
	}
}
