// Package http1 reads the heads of HTTP/1 requests from a buffer, without
// allocating: a request is slices of the bytes that were received. After
// picohttpparser: stateless, called again with more bytes until a head is whole.
//
// It is for servers that answer without reading bodies, and strict where two
// servers could disagree on where a request ends (RFC 9112, 11.2): whatever it
// accepts, net/http accepts with the same meaning; a fuzz test holds it to that.
// It refuses what net/http lets pass:
//
//   - a line that ends in LF alone (ErrLine)
//   - a field on several lines (obs-fold, ErrField)
//   - Content-Length more than once, also with the same value; both
//     Content-Length and Transfer-Encoding (ErrLength)
//   - a Transfer-Encoding but chunked alone (ErrCoding), or in HTTP/1.0 (ErrLength)
//   - Host more than once, or none in HTTP/1.1 (ErrHost)
//   - control characters but tab, and bytes above 0x7e in a field's name or in
//     the target (ErrField, ErrTarget)
//   - a target that is neither a path, an absolute URI of http or https without
//     userinfo, nor "*"; one with a fragment (ErrTarget)
//   - methods above 32 bytes (ErrMethod)
//   - heads above its Limits (ErrTargetTooLong, ErrHeadTooLarge)
//   - a version that is not HTTP/1.0 or HTTP/1.1 (ErrVersion, ErrLine)
//
// and lets two things pass that net/http does not: empty lines before a request
// line, which RFC 9112, 2.2, says a server should ignore; and a Trailer that names
// fields which may not be in one.
package http1
