package yardstick

import "context"

// MakeCClient builds the closed-loop echo client in plain C (lab/peers/c/client.c),
// unless it lies in the cache, and returns the executable. The error wraps ErrRefused.
func MakeCClient(ctx context.Context) (string, error) {
	path, err := makeC(ctx, "client")
	return path, wrap(err)
}
