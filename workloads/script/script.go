// Package script is the contract between a workload's scripted clients and a
// load generator. A client knows the protocol and what to ask next; it does no
// I/O and reads no clock, so that any generator can pace it and any test can
// replay it. The generator knows sockets, pacing and latency, and no protocol.
package script

// Load is the client side of a workload.
type Load interface {
	// Kinds names the kinds of request, for latency apart: Kinds()[kind].
	Kinds() []string
	// Window is the number of tags: a power of two. A client has at most Window
	// requests unanswered; the generator counts what it had to hold back.
	Window() int
	// Client makes the i-th client, 0 <= i; the same seed gives the same
	// requests in the same order.
	Client(i int, seed uint64) Client
}

// Deliverer is a Load whose server also sends what answers no request of the
// connection that gets it, as a fan-out does.
type Deliverer interface {
	// DeliveryBytes is the length of every message from the server.
	DeliveryBytes() int
}

// Client is one scripted connection. It belongs to one thread at a time.
type Client interface {
	// Hello appends what the client sends when its connection is open, if
	// anything, and returns the extended slice.
	Hello(dst []byte) []byte
	// Ready reports whether requests may be sent: the hello was answered.
	Ready() bool
	// Request appends the next request. Exactly one answer with the same tag
	// (below Window) follows. Tags are handed out in turn.
	Request(dst []byte) (out []byte, tag uint32, kind int)
	// Received looks at all bytes that are not consumed yet, returns how many
	// it consumed, and appends the tags that they answer to answered. An error
	// is a violation of the protocol by the server, or its refusal.
	Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error)
}
